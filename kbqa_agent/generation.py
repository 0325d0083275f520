"""The language model that weighs and writes answers: any Hugging Face causal model, with or without a LoRA adapter.

Without a name it is the embedded one, SmolLM2-135M-Instruct with the adapter that ships in this package. Models are
opened in `causal_models`; likelihoods are in `scoring`, what is written in `decoding`, what is drawn in `sampling`.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kb_index.errors import ModelError
from kbqa_agent.causal_models import EMBEDDED, load_model, with_adapter
from kbqa_agent.decoding import choose_answers, stream_answer, write_answers
from kbqa_agent.endpoint_generator import is_endpoint, open_endpoint
from kbqa_agent.sampling import Sampled, SamplingOptions, sample_answers
from kbqa_agent.scoring import score_answers
from kbqa_agent.scoring_together import model_by_part, score_together
from kbqa_agent.shipped import SHIPPED, shipped_adapter
from kbqa_agent.types import Generator

__all__ = ["HuggingFaceGenerator", "load_generator", "open_generator", "shipped_adapter"]

EMBEDDED_NAME = "smollm2-135m-instruct"
logger = logging.getLogger(__name__)


class HuggingFaceGenerator:
    """A causal model and its tokenizer as a `Generator`; deterministic, and nothing in it is changed by use.

    `adapter` says what was merged into the model: an adapter's folder, "shipped" for the package's own, or None.
    """

    def __init__(self, model: Any, tokenizer: Any, name: str, adapter: str | None = None) -> None:
        self.name, self.adapter = name, adapter
        self._model = model
        self._tokenizer = tokenizer
        self._by_part: Any = None  # False: there can be none
        self._making_parts = Lock()

    def score(self, prompt: str, answers: Sequence[str]) -> NDArray[np.float32]:
        """Give the natural-log likelihood of each answer, summed over its tokens and the end token, (n_answers,)."""
        return score_answers(self._model, self._tokenizer, prompt, answers)

    def score_many(self, asked: Sequence[tuple[str, Sequence[str]]]) -> list[NDArray[np.float32]]:
        """What `score` gives for each prompt and its answers, up to rounding, in less time where the model lets it."""
        with self._making_parts:
            if self._by_part is None:
                self._by_part = model_by_part(self._model) or False
        if not self._by_part or len(asked) < 2 or not all(any(answers) for _, answers in asked):
            return [self.score(prompt, answers) for prompt, answers in asked]
        return score_together(self._by_part, self._tokenizer, asked)

    def generate(
        self,
        prompts: Sequence[str],
        max_new_tokens: int = 48,
        *,
        among: Sequence[Sequence[str]] | None = None,
        beams: int = 1,
    ) -> list[str]:
        """Write one answer for each prompt: the likeliest next token each time, or the best of some beams.

        It ends at the end token, a line break or `max_new_tokens` tokens. With `among`, a list of candidates for each
        prompt, nothing else than one of them can be written, whole.
        """
        if among is not None:
            return choose_answers(self._model, self._tokenizer, prompts, among, beams)
        return write_answers(self._model, self._tokenizer, prompts, max_new_tokens, beams)

    def stream(self, prompt: str, max_new_tokens: int = 48) -> Iterator[str]:
        """Give the answer that `generate` writes piece by piece, each as soon as it is there."""
        return stream_answer(self._model, self._tokenizer, prompt, max_new_tokens)

    @contextmanager
    def executor(self) -> Iterator[Executor]:
        """Open threads that may ask it: on processors one for each, which shares the work better than torch's own.

        None has more processors when others rest: some processors' bfloat16 products depend on the number of threads,
        and what is said must not depend on what else is under way.
        """
        import torch

        on_processors = self._model.device.type == "cpu"
        n_threads = torch.get_num_threads()
        try:
            n_pool, n_each = (n_threads, 1) if on_processors else (1, n_threads)
            with ThreadPoolExecutor(n_pool, "generator", torch.set_num_threads, (n_each,)) as pool:
                yield pool
        finally:
            torch.set_num_threads(n_threads)  # what a thread sets for itself, torch takes as the default of new ones

    def fingerprint(self) -> str:
        """The sha256 of the weights, with what is merged into them, and of how text becomes tokens."""
        import torch

        digest = hashlib.sha256()
        for name, weights in self._model.state_dict().items():
            digest.update(f"{name} {weights.dtype} {tuple(weights.shape)}".encode())
            digest.update(weights.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
        tokenizer = self._tokenizer
        fast = getattr(tokenizer, "backend_tokenizer", None)
        digest.update((fast.to_str() if fast else str(sorted(tokenizer.get_vocab().items()))).encode())
        digest.update((tokenizer.chat_template or "").encode())
        return digest.hexdigest()

    def sample(
        self,
        prompts: Sequence[str],
        k: int,
        *,
        temperature: float = 1.0,
        top_p: float = 1.0,
        max_new_tokens: int = 48,
        seed: int = 0,
    ) -> list[list[Sampled]]:
        """Draw `k` answers for each prompt, whose text goes through the model once; see `sample_answers`."""
        options = SamplingOptions(k, temperature, top_p, max_new_tokens, seed)
        return sample_answers(self._model, self._tokenizer, prompts, options)


def open_generator(
    model: str | Path | Generator | None = None, adapter: str | Path | None = None, seconds: float | None = None
) -> Generator:
    """Open whatever can answer: a model behind a server (`openai:URL#NAME`), or one that is loaded here.

    `seconds` is as in `open_endpoint`. A generator that is one already is given back.

    Raises: MissingExtraError, ModelError.
    """
    if not (model is None or isinstance(model, (str, Path))):
        if not (hasattr(model, "score") and hasattr(model, "generate")):
            raise ModelError(f"model {model!r}: expected a name, a path, or a generator, which can score and generate")
        return model
    if isinstance(model, str) and is_endpoint(model):
        if adapter not in (None, "none"):
            raise ModelError(f"adapter {str(adapter)!r}: cannot be put on a model behind a server; let it load that")
        return open_endpoint(model, seconds)
    return load_generator(model, adapter)


def load_generator(
    model: str | Path | None = None, adapter: str | Path | None = None, progress: bool = True
) -> HuggingFaceGenerator:
    """Open a model, and the adapter on it, for scoring and generation.

    `model` is None or "embedded", the name of a Hugging Face model, a folder, or a .gguf file. `adapter` is a folder as
    `kbqa finetune` writes it; "shipped" is the one in this package, which None means for the embedded model. For other
    models None means none, as "none" does.

    Raises:
        MissingExtraError: the packages for models are not installed.
        ModelError: no such model, no network, or an adapter for another model.
    """
    embedded = model is None or str(model) == EMBEDDED
    network, tokenizer = load_model(model, progress=progress)
    folder = shipped_adapter() if adapter is None and embedded else adapter
    if adapter is None and embedded and folder is None:
        logger.warning("no adapter for the embedded model is in this package; it answers untuned")
    name = EMBEDDED_NAME if embedded else Path(str(model)).name
    if folder is None or str(folder) == "none":
        return HuggingFaceGenerator(network.eval(), tokenizer, name)
    network = with_adapter(network, Path(folder)).merge_and_unload()
    shipped = adapter is None or str(adapter) == SHIPPED
    name += "+adapter" if shipped else f"+{Path(folder).name}"
    return HuggingFaceGenerator(network.eval(), tokenizer, name, SHIPPED if shipped else str(folder))
