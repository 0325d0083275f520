"""Small knowledge bases and a fake ranker, real models small enough to train, a server of models, and a full disk."""

from __future__ import annotations

import gc
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kb_index import KnowledgeBase, build_index
from kb_index.shards.build import ShardedBuild
from kbqa_agent import AgentConfig, KBQAgent, endpoint


class WordRanker:
    """A fake: of the attributes in a question those that end last are probable, .8 together; all else is not."""

    def rank(self, question, mentions, triples):
        ends = [question.rfind(t.predicate) + len(t.predicate) if t.predicate in question else 0 for t in triples]
        scores = np.array(ends, np.float32)
        best = scores == scores.max(initial=1)
        return scores, (best * 0.8 / max(1, best.sum())).astype(np.float32)


@pytest.fixture(scope="module")
def open_kb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], KnowledgeBase]]:
    """Builds an index of lines of triples and opens it until the end of the module."""
    with ExitStack() as opened:

        def build(lines: str) -> KnowledgeBase:
            folder = tmp_path_factory.mktemp("small")
            source = folder / ("triples.tsv" if "\t" in lines else "triples.kb")
            source.write_text(lines, encoding="utf-8")
            build_index([source], folder / "index", progress=False)
            return opened.enter_context(KnowledgeBase.open(folder / "index"))

        yield build


@pytest.fixture(scope="module")
def agent_of(open_kb: Callable[[str], KnowledgeBase]) -> Callable[[str], KBQAgent]:
    """Makes an agent without a generator, whose ranker is the fake above, over lines of triples."""
    return lambda lines: KBQAgent(open_kb(lines), WordRanker(), None, AgentConfig())


@pytest.fixture(scope="session")
def serve() -> Callable[..., Any]:
    """Runs a test's coroutine with a client of the application of an agent; `client.service` is what it serves with."""
    import asyncio

    import httpx

    from kbqa_agent.server import create_app

    def run(work, agent, settings=None, client=("127.0.0.1", 50000), **given):
        async def main():
            app = create_app(agent, settings, **given)
            transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=client)
            async with (
                app.router.lifespan_context(app),
                httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as opened,
            ):
                opened.service = app.state.service
                return await work(opened)

        return asyncio.run(main())

    return run


@pytest.fixture(scope="session")
def listening() -> Callable[..., Any]:
    """Opens, in a `with`, a server of an application on a port that is free, in a thread, and gives its URL."""
    from contextlib import contextmanager
    from threading import Thread
    from time import monotonic, sleep

    import uvicorn

    @contextmanager
    def run(app, **given):
        server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="on", ws="none", **given))
        thread = Thread(target=server.run)
        thread.start()
        end = monotonic() + 60
        while not server.started:
            assert thread.is_alive()
            assert monotonic() < end
            sleep(0.01)
        try:
            yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(60)

    return run


CORPUS = (
    "【高等数学】 作者：同济大学数学系 出版社：高等教育出版社 页数：350 问：《高等数学》是谁写的？ 答：不知道",
    "【坛经】 作者：惠能 朝代：唐 问：《坛经》的作者是谁？ 答：惠能",
    "【武汉】 国家：中国 人口：1232万 面积：8569 问：武汉在哪个国家？ 答：中国",
)
ARCHITECTURES = ("gpt2", "opt", "llama")


def _tokenizer(folder: Path, architecture: str) -> int:
    """Trains a tokenizer; that of OPT is like Galactica's: no token is named as end, beginning or padding."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|im_start|>", "<|im_end|>", "[START_REF]", "[END_REF]"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    ends = {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "pad_token": "<|im_end|>"}
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **({} if architecture == "opt" else ends))
    fast.save_pretrained(folder)
    return len(fast)


def _config(architecture: str, n_tokens: int):
    from transformers import GPT2Config, LlamaConfig, OPTConfig

    ends = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    if architecture == "gpt2":
        return GPT2Config(vocab_size=n_tokens, n_positions=256, n_embd=32, n_layer=2, n_head=2, **ends)
    if architecture == "opt":
        return OPTConfig(
            vocab_size=n_tokens,
            max_position_embeddings=256,
            hidden_size=32,
            word_embed_proj_dim=32,
            ffn_dim=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            enable_bias=False,
            layer_norm_elementwise_affine=False,
            activation_function="gelu",
            **ends,
        )
    return LlamaConfig(
        vocab_size=n_tokens,
        max_position_embeddings=256,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=True,
        **ends,
    )


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of untrained GPT-2, OPT (as Galactica: no biases) and LLaMA models with random weights, in float32."""
    pytest.importorskip("transformers", reason="needs the extra [models]")
    import torch
    from transformers import AutoModelForCausalLM

    folders = {}
    for architecture in ARCHITECTURES:
        folder = tmp_path_factory.mktemp(architecture)
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(_config(architecture, _tokenizer(folder, architecture)))
        model.save_pretrained(folder)
        folders[architecture] = folder
    return folders


@pytest.fixture(scope="session", params=ARCHITECTURES)
def tiny_model(request: pytest.FixtureRequest, tiny_models: dict[str, Path]) -> Path:
    """Each of the small models in turn."""
    return tiny_models[request.param]


@pytest.fixture(scope="module")
def loaded(tiny_model: Path) -> tuple[Any, Any]:
    """One of the small models in float32, and its tokenizer."""
    import torch

    from kbqa_agent.causal_models import load_model

    network, tokenizer = load_model(tiny_model, dtype=torch.float32)
    return network.eval(), tokenizer


@pytest.fixture(scope="module")
def generator(loaded: tuple[Any, Any]) -> Any:
    """The same as a generator."""
    from kbqa_agent.generation import HuggingFaceGenerator

    return HuggingFaceGenerator(*loaded, "tiny")


class OpenAIServer(ThreadingHTTPServer):
    """A server whose answers a test sets: `reply(route, body)` gives a status and what is sent, an object or bytes."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/v1"
        self.requests = []
        self.reply = lambda route, body: (200, {"choices": [{"message": {"content": "惠能"}}]})

    def handle_error(self, request, client_address):
        """Show what goes wrong, unless it is that a client has left before it was answered."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        route = self.path.removeprefix("/v1/")
        self.server.requests.append((route, body, self.headers["Authorization"]))
        status, sent = self.server.reply(route, body)
        data = sent if isinstance(sent, bytes) else json.dumps(sent, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        """Keep standard error clean."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAIServer]:
    """A server on this machine that speaks OpenAI's protocol, as far as a test lets it."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(endpoint, "PAUSES", (0.0, 0.0))
    monkeypatch.delenv("KBQA_API_KEY", raising=False)
    running = OpenAIServer()
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield running
    running.shutdown()
    thread.join()
    running.server_close()


@pytest.fixture
def run_with_small_files() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a Python program in a folder where no file can become larger than some bytes, as on a disk that is full."""

    def run(program: str, *arguments: str, folder: Path, file_bytes: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", program, *arguments],
            cwd=folder,
            env={"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": ""},
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes)),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium: the one on the PATH, or Playwright's own; of a module, since its event loop runs in what follows."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    sync_api.expect.set_options(timeout=60_000)  # milliseconds, for a busy machine
    with sync_api.sync_playwright() as playwright:
        try:
            opened = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        except sync_api.Error as error:
            pytest.skip(f"no Chromium on the PATH and none of Playwright's: {str(error).splitlines()[0]}")
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The reference task's bench knowledge base as an index in four shards, and its test questions."""
    data = Path(os.environ.get("KBQA_DATA", Path(__file__).parents[2] / ".." / "shared" / "data")) / "nlpcc2016"
    if not (data / "bench.kbqa.kb").is_file():
        pytest.skip(f"no {data}: set KBQA_DATA")
    index = tmp_path_factory.mktemp("bench") / "index"
    ShardedBuild(4, progress=False).run([data / "bench.kbqa.kb"], index)
    return index, data / "nlpcc-iccpol-2016.kbqa.testing-data"


@pytest.fixture(scope="module")
def ray_cluster() -> Iterator[Any]:
    """A cluster of Ray of three nodes on this machine, connected to, with a processor each; nothing of it is left."""
    pytest.importorskip("ray", reason="needs the extra [ray]")
    from ray.cluster_utils import Cluster

    from kb_index.ray_session import ray_session

    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="r", dir="/tmp") as folder:
        patch.setenv("RAY_TMPDIR", folder)  # a short one, since the paths of sockets have at most 107 bytes
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        cluster = Cluster()
        try:
            for _ in range(3):
                _add_ray_node(cluster)
            with ray_session(cluster.address):
                yield cluster
        finally:
            cluster.shutdown()
            gc.collect()  # what Ray leaves behind is told while it is this module's that is ignored


@pytest.fixture
def add_ray_node() -> Callable[..., Any]:
    """Adds a small node to a cluster of Ray, such as one in place of a node that was removed."""
    return _add_ray_node


def _add_ray_node(cluster: Any, num_cpus: int = 1, num_gpus: int = 0) -> Any:
    return cluster.add_node(
        num_cpus=num_cpus, num_gpus=num_gpus, object_store_memory=100_000_000, include_dashboard=False
    )
