"""A model in a process of its own, which has no lock of Python's in common with look-ups and gives way to them.

This module is both ends: `GeneratorProcess` is a `Generator` here, and what is run as a program has the model. Each
pipe between them is for one request at a time, and has a thread at the other end.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kb_index.errors import KBQAError, ModelError
from kbqa_agent.parallel import n_processors
from kbqa_agent.serving.child import end_child, outlive_signals, start_child_with
from kbqa_agent.types import ConcurrentGenerator, Generator, StreamingGenerator

__all__ = ["GeneratorProcess"]

NICENESS = 5
PATIENCE_SECONDS = 120.0
"""More than a model of this machine needs for one answer."""
MODULE = "kbqa_agent.serving.generator_process"
ENDED = (OSError, EOFError)


class _Child:
    """The process, and the pipes that nobody uses at the moment."""

    def __init__(self, pipes: int) -> None:
        self.process, self._pipes = start_child_with(MODULE, pipes)
        self._idle: SimpleQueue[Connection] = SimpleQueue()
        for pipe in self._pipes:
            self._idle.put(pipe)

    @contextmanager
    def pipe(self) -> Iterator[Connection]:
        """Lend a pipe, once there is one."""
        pipe = self._idle.get()
        try:
            yield pipe
        finally:
            self._idle.put(pipe)

    def end(self) -> None:
        """End it."""
        end_child(self.process, *self._pipes)


class GeneratorProcess:
    """A `StreamingGenerator` whose model is loaded elsewhere, and which several threads may ask; it is started again.

    A process that says nothing for `patience` seconds while somebody waits is killed.

    Raises: ModelError when the model cannot be loaded, or when its process ends.
    """

    def __init__(
        self, model: str | Path | None, adapter: str | Path | None = None, patience: float = PATIENCE_SECONDS
    ) -> None:
        self._model, self._given_adapter, self._patience = model, adapter, patience
        self._starting = threading.Lock()
        self.at_once = n_processors()
        self.name, self.adapter = self._start()

    def close(self) -> None:
        """End the process."""
        self._child.end()

    def executor(self) -> AbstractContextManager[Executor]:
        """Open as many threads as it answers at once."""
        return ThreadPoolExecutor(self.at_once)

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
        child = self._alive()
        with child.pipe() as pipe:
            _send(pipe, "stream", prompt, max_new_tokens)
            is_done = False
            try:
                while True:
                    is_done = True  # so it is where this raises
                    kind, value = self._receive(child, pipe)
                    is_done = kind != "piece"
                    if is_done:
                        return
                    yield value
            finally:
                if not is_done:  # nobody wants more
                    with suppress(*ENDED, ModelError):
                        pipe.send(None)
                        while self._receive(child, pipe)[0] == "piece":
                            pass

    def _ask(self, method: str, *arguments: Any) -> Any:
        child = self._alive()
        with child.pipe() as pipe:
            _send(pipe, method, *arguments)
            return self._receive(child, pipe)[1]

    def _receive(self, child: _Child, pipe: Connection) -> tuple[str, Any]:
        try:
            says_something = pipe.poll(self._patience)
        except ENDED:
            raise _ended() from None
        if not says_something:
            child.process.kill()
            child.process.wait()
            raise ModelError(f"the generator said nothing for {self._patience:g} seconds; it is started again")
        return _receive(pipe)

    def _alive(self) -> _Child:
        with self._starting:
            if self._child.process.poll() is not None:
                self._child.end()
                self._start()
            return self._child

    def _start(self) -> tuple[str, str | None]:
        self._child = _Child(self.at_once)
        try:
            with self._child.pipe() as pipe:
                _send(pipe, self._model, self._given_adapter)
                loaded: tuple[str, str | None] = _receive(pipe)[1]
        except BaseException:
            self._child.end()
            raise
        return loaded


def _send(pipe: Connection, *request: Any) -> None:
    try:
        pipe.send(request)
    except ENDED:
        raise _ended() from None


def _receive(pipe: Connection) -> tuple[str, Any]:
    try:
        kind, value = pipe.recv()
    except ENDED:
        raise _ended() from None
    if kind == "failed":
        raise value
    return kind, value


def _ended() -> ModelError:
    return ModelError(
        "the process of the generator has ended, perhaps as memory was full; it is started again: ask again"
    )


def serve_generator(connections: Sequence[Connection]) -> None:
    """Load the model that the other end names by the first pipe, and do what is asked until that end closes them."""
    outlive_signals()
    with suppress(OSError, AttributeError):
        os.nice(NICENESS)
    from kbqa_agent.generation import open_generator

    try:
        generator = open_generator(*connections[0].recv())
    except KBQAError as error:
        connections[0].send(("failed", ModelError(str(error))))
        return
    adapter = getattr(generator, "adapter", None)
    connections[0].send(("done", (generator.name, str(adapter) if adapter else None)))
    opened = generator.executor() if isinstance(generator, ConcurrentGenerator) else nullcontext(ThreadPoolExecutor(1))
    with opened as pool, ThreadPoolExecutor(len(connections)) as listeners:
        for connection in connections:
            listeners.submit(_listen, connection, generator, pool)


def _listen(connection: Connection, generator: Generator, pool: Executor) -> None:
    with suppress(*ENDED):
        while True:
            request = connection.recv()
            if request is not None:  # else a stream had ended already when it was stopped
                connection.send(pool.submit(_done, connection, generator, *request).result())


def _done(connection: Connection, generator: Generator, method: str, *arguments: Any) -> tuple[str, Any]:
    try:
        return "done", _do(connection, generator, method, *arguments)
    except ModelError as error:
        return "failed", error
    except (RuntimeError, ValueError, MemoryError) as error:
        return "failed", ModelError(f"the generator failed ({type(error).__name__}); ask again")


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
        serve_generator([Connection(int(descriptor)) for descriptor in sys.argv[1:]])
