"""A model in a process of its own, which has no lock of Python's in common with look-ups and gives way to them.

This module is both ends: `GeneratorProcess` is a `Generator` here, and what is run as a program has the model.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kb_index.errors import KBQAError, ModelError
from kbqa_agent.serving.child import end_child, outlive_signals, start_child
from kbqa_agent.types import Generator, StreamingGenerator

__all__ = ["GeneratorProcess"]

NICENESS = 5
MODULE = "kbqa_agent.serving.generator_process"
ENDED = (OSError, EOFError)


class GeneratorProcess:
    """A `StreamingGenerator` whose model is loaded elsewhere; asked by one thread at a time, started again if it ends.

    Raises: ModelError when the model cannot be loaded, or when its process ends.
    """

    def __init__(self, model: str | Path | None, adapter: str | Path | None = None) -> None:
        self._model, self._given_adapter = model, adapter
        self._lock = threading.Lock()
        self._process, self._pipe = start_child(MODULE)
        try:
            self.name, self.adapter = self._load()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the process."""
        end_child(self._process, self._pipe)

    def score(self, prompt: str, answers: Sequence[str]) -> NDArray[np.float32]:
        """Natural-log likelihood of each answer, summed over its tokens and the end token, (n_answers,)."""
        scores: NDArray[np.float32] = self._ask("score", prompt, list(answers))
        return scores

    def generate(
        self, prompts: Sequence[str], max_new_tokens: int = 48, *, among: Sequence[Sequence[str]] | None = None
    ) -> list[str]:
        """Write one answer for each prompt, up to the end token; with `among`, one of the candidates of the prompt."""
        written: list[str] = self._ask("generate", list(prompts), max_new_tokens, among)
        return written

    def stream(self, prompt: str, max_new_tokens: int = 48) -> Iterator[str]:
        """Give what `generate` writes for one prompt, each piece as soon as it is there."""
        with self._lock:
            self._send("stream", prompt, max_new_tokens)
            is_done = False
            try:
                while True:
                    is_done = True  # so it is where this raises
                    kind, value = self._receive()
                    is_done = kind != "piece"
                    if is_done:
                        return
                    yield value
            finally:
                if not is_done:  # nobody wants more
                    with suppress(*ENDED):
                        self._pipe.send(None)
                        while self._pipe.recv()[0] == "piece":
                            pass

    def _ask(self, method: str, *arguments: Any) -> Any:
        with self._lock:
            self._send(method, *arguments)
            return self._receive()[1]

    def _load(self) -> tuple[str, str | None]:
        self._pipe.send((self._model, self._given_adapter))
        loaded: tuple[str, str | None] = self._receive()[1]
        return loaded

    def _send(self, *request: Any) -> None:
        if self._process.poll() is not None:
            self._pipe.close()
            self._process, self._pipe = start_child(MODULE)
            self._load()
        self._pipe.send(request)

    def _receive(self) -> tuple[str, Any]:
        try:
            kind, value = self._pipe.recv()
        except ENDED:
            end_child(self._process, self._pipe)
            raise ModelError(
                "the process of the generator has ended, perhaps as memory was full; it is started again: ask again"
            ) from None
        if kind == "failed":
            raise value
        return kind, value


def serve_generator(connection: Connection) -> None:
    """Load the model that the other end names, and do what it asks until it is closed."""
    outlive_signals()
    with suppress(OSError, AttributeError):
        os.nice(NICENESS)
    from kbqa_agent.generation import open_generator

    try:
        generator = open_generator(*connection.recv())
    except KBQAError as error:
        connection.send(("failed", ModelError(str(error))))
        return
    adapter = getattr(generator, "adapter", None)
    connection.send(("done", (generator.name, str(adapter) if adapter else None)))
    while True:
        request = connection.recv()
        if request is None:  # a stream had ended already when it was stopped
            continue
        try:
            connection.send(("done", _do(connection, generator, *request)))
        except ModelError as error:
            connection.send(("failed", error))
        except (RuntimeError, ValueError, MemoryError) as error:
            connection.send(("failed", ModelError(f"the generator failed ({type(error).__name__}); ask again")))


def _do(connection: Connection, generator: Generator, method: str, *arguments: Any) -> Any:
    if method == "score":
        return generator.score(*arguments)
    if method == "generate":
        prompts, max_new_tokens, among = arguments
        return generator.generate(prompts, max_new_tokens, among=among)
    prompt, max_new_tokens = arguments
    if not isinstance(generator, StreamingGenerator):
        connection.send(("piece", generator.generate([prompt], max_new_tokens)[0]))
        return None
    for piece in generator.stream(prompt, max_new_tokens):
        if connection.poll():
            break
        connection.send(("piece", piece))
    return None


if __name__ == "__main__":
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        serve_generator(Connection(int(sys.argv[1])))
