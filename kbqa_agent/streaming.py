"""An answer while it is made: what the ranker finds at once, the generator's text piece by piece, then the answer."""

from __future__ import annotations

from collections import abc
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager
from copy import copy
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Event as Flag
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kbqa_agent.candidates import candidates_of, mentions_of
from kbqa_agent.daemons import DaemonExecutor
from kbqa_agent.prompts import closed_book_prompt
from kbqa_agent.ranked import Ranked
from kbqa_agent.types import Answer, Candidate, ConcurrentGenerator, EntityMention, Generator, StreamingGenerator

if TYPE_CHECKING:
    from kbqa_agent.agent import KBQAgent, Resolved
    from kbqa_agent.dialogue import Dialogue

__all__ = ["Event", "Piece", "Shortlist", "shortlist", "stream", "written"]


@dataclass(frozen=True, slots=True)
class Shortlist:
    """What the ranker finds, best first: before other kinds of questions, the generator and silence are considered."""

    mentions: tuple[EntityMention, ...]
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class Piece:
    """The next piece of the text that the generator writes."""

    text: str


Event = Shortlist | Piece | Answer
"""A `Shortlist` unless the book is closed, `Piece`s where the generator writes, and the `Answer` at the end."""


def stream(agent: KBQAgent, question: str, dialogue: Dialogue | None = None) -> Iterator[Event]:
    """Answer a question, and tell what is known earlier. Where nobody waits for more, the generator stops."""
    now = agent.as_of_now()
    resolved = now.resolve(question, dialogue)
    if resolved.ranked is not None:
        yield shortlist(now, resolved.ranked)
    for event in written(now, resolved):
        yield now.remember(question, resolved, event, dialogue) if isinstance(event, Answer) else event


def shortlist(agent: KBQAgent, ranked: Ranked) -> Shortlist:
    """Tell what was ranked for a question."""
    found = candidates_of(ranked.triples, ranked.probabilities, agent.config.max_candidates)
    return Shortlist(mentions_of(ranked.mentions, found), tuple(found))


def written(agent: KBQAgent, resolved: Resolved) -> abc.Generator[Piece | Answer, None, None]:
    """Let a thread answer with a generator that tells each piece of what it writes for the question's prompt."""
    if agent.generator is None or not (agent.config.free_text or agent.config.closed_book):
        yield agent.answer_to(resolved)
        return
    question, ranked = resolved.question, resolved.ranked
    prompt = closed_book_prompt(question) if ranked is None else agent.prompt(question, ranked)
    told: SimpleQueue[Piece | None] = SimpleQueue()
    unwanted = Flag()
    telling = copy(agent)
    kind = _TellingTogether if isinstance(agent.generator, ConcurrentGenerator) else _Telling
    telling.generator = kind(agent.generator, prompt, told, unwanted)
    pool = DaemonExecutor("kbqa-stream")
    try:
        found = pool.submit(telling.answer_to, resolved)
        found.add_done_callback(lambda _: told.put(None))
        yield from iter(told.get, None)
        yield found.result()
    finally:
        unwanted.set()
        pool.shutdown(wait=False)  # who stops an answer, or the program, waits for no slow server


class _UnwantedError(Exception):
    """Nobody waits for more pieces."""


class _Telling:
    """A generator that tells what it writes for one prompt; other prompts are those of shorter questions in a chain."""

    def __init__(self, generator: Generator, prompt: str, told: SimpleQueue[Piece | None], unwanted: Flag) -> None:
        self.name = generator.name
        self._generator, self._prompt, self._told, self._unwanted = generator, prompt, told, unwanted

    def score(self, prompt: str, answers: Sequence[str]) -> NDArray[np.float32]:
        return self._generator.score(prompt, answers)

    def generate(
        self, prompts: Sequence[str], max_new_tokens: int = 48, *, among: Sequence[Sequence[str]] | None = None
    ) -> list[str]:
        if list(prompts) != [self._prompt]:
            return self._generator.generate(prompts, max_new_tokens, among=among)
        return ["".join(self._pieces(max_new_tokens, among))]

    def _pieces(self, max_new_tokens: int, among: Sequence[Sequence[str]] | None) -> Iterator[str]:
        pieces: Iterator[str] = (
            self._generator.stream(self._prompt, max_new_tokens)
            if among is None and isinstance(self._generator, StreamingGenerator)
            else iter(self._generator.generate([self._prompt], max_new_tokens, among=among))
        )
        for piece in pieces:
            if self._unwanted.is_set():
                raise _UnwantedError
            self._told.put(Piece(piece))
            yield piece


class _TellingTogether(_Telling):
    """The same of a generator that several threads may ask at once."""

    def executor(self) -> AbstractContextManager[Executor]:
        """Open threads that may ask it."""
        return ThreadPoolExecutor(1)
