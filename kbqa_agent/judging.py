"""Questions whose candidates a generator judges together.

A question is decided with a stand-in for the generator, which stops it where likelihoods are wanted. When several have
stopped, the generator is asked for all of them in one go, and they are decided again with what it said. Which questions
are together depends on nothing but their order, so the same questions get the same numbers each time.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Executor, Future
from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from kbqa_agent.ranked import Ranked
from kbqa_agent.types import Answer, Generator, JointGenerator

if TYPE_CHECKING:
    from kbqa_agent.agent import KBQAgent

__all__ = ["Unjudged", "begin_judging"]

GROUP = 10
"""So many questions are decided together; a generator that is asked where the ranker is unsure judges some of them."""
TOGETHER = 5
"""So many prompts go through a model together; more of them gain little (docs/experiments.md)."""

Wanted = tuple[str, tuple[str, ...]]
"""A prompt, and the answers whose likelihoods are wanted."""


class Unjudged(NamedTuple):
    """A question that is left to be answered, and what was ranked for it, if anything was."""

    question: str
    ranked: Ranked | None

    def answer(self, agent: KBQAgent) -> Answer:
        """Answer it alone."""
        return agent.ask(self.question) if self.ranked is None else agent.decide(self.question, self.ranked)


def begin_judging(agent: KBQAgent, pool: Executor, questions: Sequence[Unjudged]) -> list[Future[Answer]]:
    """Let some questions be answered in threads, in their order."""
    generator = agent.generator
    if not isinstance(generator, JointGenerator) or agent.config.closed_book:
        return [pool.submit(question.answer, agent) for question in questions]
    begun = [Future[Answer]() for _ in questions]
    for i in range(0, len(questions), GROUP):
        pool.submit(_answer_group, agent, generator, questions[i : i + GROUP], begun[i : i + GROUP])
    return begun


def _answer_group(
    agent: KBQAgent, generator: JointGenerator, questions: Sequence[Unjudged], begun: Sequence[Future[Answer]]
) -> None:
    wanted = [(f, q) for f, q in zip(begun, questions, strict=True) if f.set_running_or_notify_cancel()]
    try:
        answers = _decide_together(agent, generator, [question for _, question in wanted])
    except BaseException:  # one question's: the others have their answers
        for future, question in wanted:
            _answer_one(agent, future, question)
    else:
        for (future, _), answer in zip(wanted, answers, strict=True):
            future.set_result(answer)


def _answer_one(agent: KBQAgent, future: Future[Answer], question: Unjudged) -> None:
    try:
        future.set_result(question.answer(agent))
    except BaseException as error:
        future.set_exception(error)


def _decide_together(agent: KBQAgent, generator: JointGenerator, questions: Sequence[Unjudged]) -> list[Answer]:
    """Answer each question as the agent would alone, up to the rounding of likelihoods."""
    if len(questions) < 2:
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
        for start in range(0, len(distinct), TOGETHER):
            some = distinct[start : start + TOGETHER]
            told.known.update(zip(some, generator.score_many(some), strict=True))
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
