"""Replicas behind one address answer as one server would, also while machines go and the index changes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner

pytest.importorskip("ray", reason="needs the extra [ray]")
pytest.importorskip("fastapi", reason="needs the extra [serve]")

import httpx

from cli import main
from kb_index import build_index
from kb_index.shards.build import ShardedBuild
from kbqa_agent import KBQAgent
from kbqa_agent.answer_forms import answer_to_json
from kbqa_agent.qa_data import read_questions
from kbqa_agent.sample import sample_test, sample_triples

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::ResourceWarning")]  # Ray leaves some behind
QUESTIONS = [e.question for e in read_questions(sample_test())][:60]
COMPARED = ("answer", "values", "confidence", "abstained", "mentions", "candidates")
PATIENCE = 180
"""Seconds that a busy machine may take to start the program."""


@pytest.fixture
def index(request, tmp_path):
    if getattr(request, "param", "sample") == "bench":
        return request.getfixturevalue("bench")[0]
    folder = tmp_path / "index"
    ShardedBuild(4, progress=False).run([sample_triples()], folder)
    return folder


@pytest.fixture
def serve(ray_cluster, index):
    """Starts the program on a free port, and gives the process and a client."""
    command = [sys.executable, "-m", "cli", "serve", "--index", str(index), "--model", "none", "--port", "0"]
    process = subprocess.Popen(
        [*command, "--engine", "ray", "--ray-address", ray_cluster.address, "--replicas", "2"],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stderr=subprocess.PIPE,
        text=True,
    )
    watch = threading.Timer(PATIENCE, process.kill)
    watch.start()
    try:
        told = ""
        while "answers; Ctrl-C ends it" not in told:
            line = process.stderr.readline()
            assert line, told
            told += line
        with httpx.Client(base_url=re.search(r"(http://\S+) answers", told)[1], trust_env=False, timeout=60) as client:
            yield process, client
        process.send_signal(signal.SIGTERM)
        _, rest = process.communicate(timeout=PATIENCE)
    finally:
        watch.cancel()
        process.kill()
    assert process.returncode == 0, told + rest
    assert "Traceback" not in rest


@pytest.mark.parametrize("index", ["sample", "bench"], indirect=True)
def test_all_is_answered_while_a_machine_goes_and_as_one_server_would(serve, ray_cluster, add_ray_node, index, request):
    _, client = serve
    questions = QUESTIONS
    if request.node.callspec.params["index"] == "bench":
        questions = [e.question for e in read_questions(request.getfixturevalue("bench")[1])][: len(QUESTIONS)]
    with KBQAgent.open(index, model="none") as agent:
        expected = [answer_to_json(agent.ask(question)) for question in questions]
    retried, n_answered, is_gone = Counter(), Counter(), threading.Event()

    def ask_on(first):
        for number in range(first, len(expected), 4):
            ask(number)
        while not is_gone.is_set():
            ask(first)
        for number in range(first, len(expected), 4):
            ask(number)

    def ask(number):
        while True:
            try:
                reply = client.post("/api/ask", json={"question": questions[number]})
                if reply.status_code == 200:
                    break
                retried[reply.status_code] += 1
            except httpx.TransportError as error:
                retried[type(error).__name__] += 1
        told = reply.json()
        assert {key: told[key] for key in COMPARED} == {key: expected[number][key] for key in COMPARED}
        n_answered[is_gone.is_set()] += 1

    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(ask_on, first) for first in range(4)]
        while n_answered[False] < 20 and not any(one.done() for one in asking):
            time.sleep(0.01)
        ray_cluster.remove_node(a_busy_node(ray_cluster), allow_graceful=False)
        is_gone.set()
        for one in asking:
            one.result()
    add_ray_node(ray_cluster)
    assert n_answered[False] >= 20
    assert n_answered[True] >= len(questions)
    assert sum(retried.values()) <= 20, retried  # what was under way at the machine that went


def a_busy_node(cluster):
    """A machine with a replica, though not the one that holds the cluster together."""
    from ray._private.state import available_resources_per_node

    free = {node for node, there in available_resources_per_node().items() if there.get("CPU", 0) >= 1}
    return next(node for node in cluster.worker_nodes if node.node_id not in free)


def test_replicas_have_dialogues_ratings_and_the_index_in_common(serve, index, tmp_path):
    _, client = serve
    number = client.post("/api/dialogues").json()["id"]
    said = ["法国的首都是哪里？", *["那日本呢？", "那法国呢？"] * 5]
    told = [client.post("/api/ask", json={"question": question, "dialogue": number}).json() for question in said]
    assert [reply["answer"] for reply in told] == ["巴黎", *["东京", "巴黎"] * 5]
    for n in range(8):
        answer = client.post("/api/ask", json={"question": "法国的首都是哪里？"}).json()["answer_id"]
        assert (
            client.post("/api/feedback", json={"answer_id": answer, "rating": "good", "comment": str(n)}).status_code
            == 200
        )
    assert len(client.get("/api/feedback").json()["feedback"]) == 8
    source = tmp_path / "triples.kb"
    source.write_text("法国 ||| 首都 ||| 里昂\n", encoding="utf-8")
    build_index([source], index, progress=False)
    assert client.post("/api/admin/reload").json()["reloaded"]
    told = {client.get("/api/triples", params={"name": "法国"}).json()["triples"][0]["object"] for _ in range(12)}
    assert told == {"里昂"}
    assert client.get("/readyz").json() == {"status": "ready"}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--replicas", "2"], "--replicas is for --engine ray; add that, or leave --replicas out"),
        (["--engine", "ray", "--host", "0.0.0.0"], "nobody would need a key"),
        (
            ["--engine", "ray", "--replicas", "3", "--max-replicas", "2"],
            "--replicas 3 is more than --max-replicas 2; lower the one or raise the other",
        ),
        (
            ["--engine", "ray", "--gpus-per-replica", "1.5"],
            "1.5 GPUs for a server: expected a whole number, or a part of one: 0.5",
        ),
    ],
)
def test_what_cannot_be_served_is_said_in_a_line(ray_cluster, index, words, expected):
    done = CliRunner().invoke(main, ["serve", "--index", str(index), "--model", "none", *words])
    assert done.exit_code != 0
    assert expected in done.output


def test_machines_that_are_waited_for_are_told(ray_cluster, index):
    command = [sys.executable, "-m", "cli", "serve", "--index", str(index), "--model", "none", "--port", "0"]
    more = ["--engine", "ray", "--ray-address", ray_cluster.address, "--gpus-per-replica", "0.5"]
    with subprocess.Popen([*command, *more], stderr=subprocess.PIPE, text=True) as process:
        watch = threading.Timer(PATIENCE, process.kill)
        watch.start()
        try:
            told = next(line for line in process.stderr if "room" in line)
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=PATIENCE)
        finally:
            watch.cancel()
            process.kill()
    assert told.startswith("the cluster has room for 0 of 1 servers of 1 CPU and 0.5 GPUs; waiting for more machines")
