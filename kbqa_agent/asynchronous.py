"""The asynchronous twins of what an agent does: the work is done in threads, and the event loop goes on meanwhile.

A task that is cancelled no longer waits; what its thread has begun (one question, or the batch at hand) it ends by
itself, and nothing after it is begun. A question of a dialogue that has begun becomes a turn of it even then.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator, Iterable, Iterator
from types import TracebackType
from typing import Self, TypeVar

from kb_index.closing import Closing
from kbqa_agent.daemons import DaemonExecutor
from kbqa_agent.dialogue import Dialogue
from kbqa_agent.streaming import Event
from kbqa_agent.types import Answer

__all__ = ["AsyncTwins"]

T = TypeVar("T")


class AsyncTwins(Closing):
    """Gives who can answer in threads what can be awaited."""

    @abstractmethod
    def ask(self, question: str, dialogue: Dialogue | None = None) -> Answer:
        """Answer a question."""

    @abstractmethod
    def ask_many(self, questions: Iterable[str], processes: int | None = None) -> Iterator[Answer]:
        """Answer many questions."""

    @abstractmethod
    def stream(self, question: str, dialogue: Dialogue | None = None) -> Iterator[Event]:
        """Answer a question, and tell what is known earlier."""

    async def aask(self, question: str, dialogue: Dialogue | None = None) -> Answer:
        """Await what `ask` gives; a dialogue gets the turn even if the task is cancelled. Raises: as `ask`."""
        return await asyncio.to_thread(self.ask, question, dialogue)

    async def aask_many(self, questions: Iterable[str], processes: int | None = None) -> AsyncIterator[Answer]:
        """Await one by one what `ask_many` gives. Raises: as `ask_many`."""
        async for answer in _awaited(await asyncio.to_thread(self.ask_many, questions, processes)):
            yield answer

    async def astream(self, question: str, dialogue: Dialogue | None = None) -> AsyncIterator[Event]:
        """Await one by one what `stream` gives. Raises: as `stream`."""
        async for event in _awaited(await asyncio.to_thread(self.stream, question, dialogue)):
            yield event

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.close)


async def _awaited(items: Iterator[T]) -> AsyncIterator[T]:
    """Take items in a thread of their own, which also closes the iterator when nobody wants more."""
    loop = asyncio.get_running_loop()
    pool = DaemonExecutor("kbqa-async")
    end = object()
    try:
        while (item := await loop.run_in_executor(pool, next, items, end)) is not end:
            yield item  # type: ignore[misc]  # it is no `end`, so it is a T
    finally:
        pool.submit(getattr(items, "close", list))
        pool.shutdown(wait=False)
