"""Answers that need a generator, in threads of their own: one for a model of this process, several for others."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import closing, suppress
from threading import Event as Flag

from kbqa_agent.daemons import DaemonExecutor
from kbqa_agent.parallel import n_processors
from kbqa_agent.serving.generator_process import GeneratorProcess
from kbqa_agent.serving.ranking_alone import Looked
from kbqa_agent.serving.systems import Fleet
from kbqa_agent.streaming import Piece, written
from kbqa_agent.types import Answer, ConcurrentGenerator

__all__ = ["Generations"]

Told = Piece | Answer | Exception
NICENESS = 5
ASKED_AT_ONCE = 8
"""So many questions go to a model behind a server at once."""


class Generations:
    """Lets generators answer; what is cancelled before its turn is left out, and writing stops at the next piece."""

    def __init__(self) -> None:
        self._alone = DaemonExecutor("kbqa-generator")
        self._alone.submit(_let_others_first)
        self._elsewhere = DaemonExecutor("kbqa-generators", n_processors())
        self._together = DaemonExecutor("kbqa-endpoint", ASKED_AT_ONCE)

    async def stream(self, fleet: Fleet, looked: Looked) -> AsyncGenerator[Piece | Answer, None]:
        """Give the pieces that the generator writes, as far as it tells them, and the answer."""
        loop, told = asyncio.get_running_loop(), asyncio.Queue[Told]()
        unwanted = Flag()

        def tell(event: Told) -> None:
            if not unwanted.is_set():
                loop.call_soon_threadsafe(told.put_nowait, event)

        begun = self._threads(looked).submit(_write, fleet, looked, tell, unwanted)
        try:
            while True:
                event = await told.get()
                if isinstance(event, Exception):
                    raise event
                yield event
                if isinstance(event, Answer):
                    return
        finally:
            unwanted.set()
            begun.cancel()

    def close(self) -> None:
        """Let the threads end after what they have begun."""
        for threads in (self._alone, self._elsewhere, self._together):
            threads.shutdown(wait=False)

    def _threads(self, looked: Looked) -> DaemonExecutor:
        generator = looked.agent.generator
        if isinstance(generator, GeneratorProcess):
            return self._elsewhere
        return self._together if isinstance(generator, ConcurrentGenerator) else self._alone


def _let_others_first() -> None:
    """Let the system prefer look-ups to this thread, and to those that a model's library starts in it."""
    if sys.platform == "linux":  # elsewhere threads have no priorities of their own
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


def _write(fleet: Fleet, looked: Looked, tell: Callable[[Told], None], unwanted: Flag) -> None:
    """Tell what is written, until nobody wants more; the index stays open until then."""
    try:
        with fleet.in_use(), closing(written(looked.agent, looked.alone.resolved)) as events:
            for event in events:
                if unwanted.is_set():
                    return
                tell(event)
    except Exception as error:
        tell(error)
