"""The dialogues and answers that a server has at hand: turns in memory while one is used, answers to rate."""

from __future__ import annotations

import asyncio
import json
import threading
import zlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple, ParamSpec, TypeVar

from kbqa_agent.dialogue import Dialogue
from kbqa_agent.dialogue_file import turns_from_json, turns_to_json
from kbqa_agent.serving.dialogue_store import DialogueStore, KeptTurn, new_id
from kbqa_agent.serving.failures import ServingError
from kbqa_agent.types import Answer, Turn

__all__ = ["GivenAnswer", "GivenAnswers", "OpenDialogues"]

P = ParamSpec("P")
T = TypeVar("T")
OPEN_AT_ONCE = 200


class GivenAnswer(NamedTuple):
    """An answer, who got it, and from which system."""

    user: str
    system: str
    answer: Answer


class _Packed(NamedTuple):
    """A given answer in a tenth of the memory."""

    user: str
    system: str
    answer: bytes


class GivenAnswers:
    """The last answers by their ids, whatever many questions one user asks; those of dialogues are on the disk, too.

    Safe between threads.
    """

    def __init__(self, store: DialogueStore, most: int) -> None:
        self._store, self._most = store, most
        self._given: OrderedDict[str, _Packed] = OrderedDict()
        self._of_user: dict[str, OrderedDict[str, None]] = {}
        self._lock = threading.Lock()

    def keep(self, given: GivenAnswer) -> str:
        """Keep an answer, and give its id."""
        number, packed = new_id(), _pack(given.answer)
        with self._lock:
            self._given[number] = _Packed(given.user, given.system, packed)
            own = self._of_user.setdefault(given.user, OrderedDict())
            own[number] = None
            if len(self._given) > self._most:
                # Who has more than half of all makes room for themselves.
                self._forget(next(iter(own if 2 * len(own) > self._most else self._given)))
        return number

    def find(self, number: str, user: str) -> GivenAnswer:
        """A user's own answer; one that is rated is kept longer. Raises: ServingError 404."""
        with self._lock:
            packed = self._given.get(number)
            if packed is not None and packed.user == user:
                self._given.move_to_end(number)
                self._of_user[user].move_to_end(number)
                return GivenAnswer(user, packed.system, _unpack(packed.answer))
        kept = self._store.find(number, user)
        if kept is None:
            raise ServingError(404, "no such answer of yours, or it was too long ago; ask again, and rate that one")
        return GivenAnswer(user, kept.system, kept.turn.answer)

    def _forget(self, number: str) -> None:
        user = self._given.pop(number).user
        del self._of_user[user][number]
        if not self._of_user[user]:
            del self._of_user[user]


def _pack(answer: Answer) -> bytes:
    return zlib.compress(json.dumps(turns_to_json([Turn("", answer)]), ensure_ascii=False).encode(), 1)


def _unpack(packed: bytes) -> Answer:
    return turns_from_json(json.loads(zlib.decompress(packed)))[0].answer


@dataclass
class _Open:
    dialogue: Dialogue
    last_answer: str | None
    turn_lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class OpenDialogues:
    """Lends each dialogue to one question at a time, and keeps its turns; `disk` reads and writes them.

    Other servers may add turns on the same disk. Two questions of one dialogue at the same time, on two servers, see
    the same turns before them.
    """

    def __init__(self, store: DialogueStore, disk: Executor) -> None:
        self._store, self._disk = store, disk
        self._open: OrderedDict[tuple[str, str], _Open] = OrderedDict()

    @asynccontextmanager
    async def lent(self, number: str, user: str) -> AsyncIterator[Dialogue]:
        """Lend a user's dialogue until the end of a block. Raises: ServingError 404."""
        opened = self._open.setdefault((user, number), _Open(Dialogue(), None))
        try:
            async with opened.turn_lock:
                if await self._do(self._store.last_answer, number, user) != opened.last_answer:
                    turns = await self._do(self._store.turns, number, user)
                    opened.dialogue = Dialogue(kept.turn for kept in turns)
                    opened.last_answer = turns[-1].answer_id if turns else None
                yield opened.dialogue
        except ServingError:
            self._open.pop((user, number), None)
            raise
        finally:
            self._trim()

    async def add_last_turn(self, number: str, user: str, dialogue: Dialogue, system: str, answer_id: str) -> None:
        """Put the last turn of a dialogue that is lent on the disk. Raises: ServingError 404, StorageError."""
        try:
            await self._do(self._store.add, number, user, KeptTurn(answer_id, system, dialogue.turns[-1]))
            if (opened := self._open.get((user, number))) is not None and opened.dialogue is dialogue:
                opened.last_answer = answer_id
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
