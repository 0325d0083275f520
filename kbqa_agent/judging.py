"""Questions whose candidates a generator judges together, each with the answer that it gets alone.

A question is decided with a stand-in for the generator, which stops it where likelihoods are wanted. When several have
stopped, the generator is asked for all of them in one go, and they are decided again with what it said.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Executor, Future
from copy import copy
from dataclasses import replace
from math import ceil
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from kbqa_agent.parallel import n_processors
from kbqa_agent.ranked import Ranked
from kbqa_agent.types import Answer, Generator, JointGenerator

if TYPE_CHECKING:
    from kbqa_agent.agent import KBQAgent

__all__ = ["Judges", "Unjudged", "decide_together"]

TOGETHER = 4
"""So many prompts go through a model together; more of them gain nothing (docs/experiments.md)."""

Wanted = tuple[str, tuple[str, ...]]
"""A prompt, and the answers whose likelihoods are wanted."""


class Unjudged(NamedTuple):
    """A question that is left to be answered, and what was ranked for it, if anything was."""

    question: str
    ranked: Ranked | None

    def answer(self, agent: KBQAgent) -> Answer:
        """Answer it alone."""
        return agent.ask(self.question) if self.ranked is None else agent.decide(self.question, self.ranked)


class Judges:
    """Threads that answer what is left, as many questions at a time as are waiting for them."""

    def __init__(self, agent: KBQAgent, pool: Executor) -> None:
        self._agent, self._pool = agent, pool
        self._waiting: deque[tuple[Future[Answer], Unjudged]] = deque()

    def begin(self, questions: Sequence[Unjudged]) -> list[Future[Answer]]:
        """Let some questions be answered, in their order."""
        if not isinstance(self._agent.generator, JointGenerator) or self._agent.config.closed_book:
            return [self._pool.submit(question.answer, self._agent) for question in questions]
        begun = [(Future[Answer](), question) for question in questions]
        self._waiting.extend(begun)
        for _ in begun:
            self._pool.submit(self._answer_some)
        return [future for future, _ in begun]

    def _answer_some(self) -> None:
        """Answer a fair share of what is waiting, which may be nothing: others were quicker."""
        taken = []
        for _ in range(min(TOGETHER, ceil(len(self._waiting) / n_processors()))):
            try:
                future, question = self._waiting.popleft()
            except IndexError:
                break
            if future.set_running_or_notify_cancel():
                taken.append((future, question))
        try:
            answers = decide_together(self._agent, [question for _, question in taken])
        except BaseException:  # one question's: the others have their answers
            for future, question in taken:
                self._answer_one(future, question)
        else:
            for (future, _), answer in zip(taken, answers, strict=True):
                future.set_result(answer)

    def _answer_one(self, future: Future[Answer], question: Unjudged) -> None:
        try:
            future.set_result(question.answer(self._agent))
        except BaseException as error:
            future.set_exception(error)


def decide_together(agent: KBQAgent, questions: Sequence[Unjudged]) -> list[Answer]:
    """Answer each question as the agent would alone."""
    generator = agent.generator
    if not isinstance(generator, JointGenerator) or len(questions) < 2:
        return [question.answer(agent) for question in questions]
    unranked = [q.question for q in questions if q.ranked is None]
    found = iter(agent.rank_many(unranked) if unranked else ())
    ranked = [next(found) if q.ranked is None else q.ranked for q in questions]
    deciding, told = copy(agent), _Told(generator)
    deciding.generator = told
    answers: dict[int, Answer] = {}
    milliseconds: dict[int, float] = {}
    while len(answers) < len(questions):
        wanted: dict[int, Wanted] = {}
        for i in (i for i in range(len(questions)) if i not in answers):
            try:
                answers[i] = deciding.decide(questions[i].question, ranked[i])
            except _WantedError as stopped:
                wanted[i] = stopped.wanted
        started = time.perf_counter()
        distinct = list(dict.fromkeys(wanted.values()))
        told.known.update(zip(distinct, generator.score_many(distinct) if distinct else (), strict=True))
        share = 1000 * (time.perf_counter() - started) / max(1, len(wanted))
        milliseconds |= {i: milliseconds.get(i, 0.0) + share for i in wanted}
    return [
        replace(answer, timings={**answer.timings, "score": milliseconds[i]}) if i in milliseconds else answer
        for i, answer in sorted(answers.items())
    ]


class _WantedError(Exception):
    """Likelihoods are wanted that nobody has told yet."""

    def __init__(self, wanted: Wanted) -> None:
        super().__init__()
        self.wanted = wanted


class _Told:
    """Stands where a generator would be asked, and says again what it said; several threads may ask it."""

    def __init__(self, generator: Generator) -> None:
        self.name, self.known = generator.name, dict[Wanted, NDArray[np.float32]]()
        self.generate = generator.generate

    def score(self, prompt: str, answers: Sequence[str]) -> NDArray[np.float32]:
        wanted = prompt, tuple(answers)
        if wanted not in self.known:
            raise _WantedError(wanted)
        return self.known[wanted]

    def executor(self) -> NoReturn:
        raise NotImplementedError
