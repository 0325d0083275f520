"""The dialogues and answers that a server has at hand: turns in memory while one is used, answers to rate."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from functools import partial
from typing import NamedTuple, ParamSpec, TypeVar

from kbqa_agent.dialogue import Dialogue
from kbqa_agent.serving.dialogue_store import DialogueStore, KeptTurn, new_id
from kbqa_agent.serving.failures import ServingError
from kbqa_agent.types import Answer

__all__ = ["GivenAnswer", "GivenAnswers", "OpenDialogues"]

P = ParamSpec("P")
T = TypeVar("T")
OPEN_AT_ONCE = 1000


class GivenAnswer(NamedTuple):
    """An answer, who got it, and from which system."""

    user: str
    system: str
    answer: Answer


class GivenAnswers:
    """The last answers by their ids; those of dialogues are found on the disk, too."""

    def __init__(self, store: DialogueStore, most: int) -> None:
        self._store, self._most = store, most
        self._given: OrderedDict[str, GivenAnswer] = OrderedDict()

    def keep(self, given: GivenAnswer) -> str:
        """Keep an answer, and give its id."""
        number = new_id()
        self._given[number] = given
        while len(self._given) > self._most:
            self._given.popitem(last=False)
        return number

    def find(self, number: str, user: str) -> GivenAnswer:
        """A user's own answer. Raises: ServingError 404."""
        given = self._given.get(number)
        if given is None and (kept := self._store.find(number, user)) is not None:
            given = GivenAnswer(user, kept.system, kept.turn.answer)
        if given is None or given.user != user:
            raise ServingError(404, "no such answer of yours, or it was too long ago; ask again, and rate that one")
        return given


class _Open(NamedTuple):
    dialogue: Dialogue
    turn_lock: asyncio.Lock


class OpenDialogues:
    """Lends each dialogue to one question at a time, and keeps its turns; `disk` reads and writes them."""

    def __init__(self, store: DialogueStore, disk: Executor) -> None:
        self._store, self._disk = store, disk
        self._open: OrderedDict[tuple[str, str], _Open] = OrderedDict()

    @asynccontextmanager
    async def lent(self, number: str, user: str) -> AsyncIterator[Dialogue]:
        """Lend a user's dialogue until the end of a block. Raises: ServingError 404."""
        opened = self._open.get((user, number))
        if opened is None:
            turns = await self._do(self._store.turns, number, user)
            opened = self._open.setdefault((user, number), _Open(Dialogue(kept.turn for kept in turns), asyncio.Lock()))
            self._trim()
        async with opened.turn_lock:
            yield opened.dialogue

    async def add_last_turn(self, number: str, user: str, dialogue: Dialogue, system: str, answer_id: str) -> None:
        """Put the last turn of a dialogue that is lent on the disk. Raises: ServingError 404, StorageError."""
        try:
            await self._do(self._store.add, number, user, KeptTurn(answer_id, system, dialogue.turns[-1]))
        except BaseException:
            self._open.pop((user, number), None)  # what is on the disk counts, and is read again
            raise

    async def delete(self, number: str, user: str) -> None:
        """Delete a dialogue. Raises: ServingError 404, StorageError."""
        await self._do(self._store.delete, number, user)
        self._open.pop((user, number), None)

    def _trim(self) -> None:
        for key in list(self._open):
            if len(self._open) <= OPEN_AT_ONCE:
                break
            if not self._open[key].turn_lock.locked():
                del self._open[key]

    async def _do(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._disk, partial(call, *args, **kwargs))
