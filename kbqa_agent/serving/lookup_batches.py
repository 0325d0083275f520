"""Questions of all users ranked together: one thread takes what has come in a few milliseconds, and does it at once.

A question that the ranker is sure of is answered here. One that needs a generator is only resolved, and given back with
what is left to be done, so that no look-up waits for a model.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from copy import copy
from typing import Any, NamedTuple, NoReturn

from kbqa_agent.agent import KBQAgent, Resolved
from kbqa_agent.batching import AT_ONCE
from kbqa_agent.dialogue import Dialogue
from kbqa_agent.serving.systems import Fleet, System
from kbqa_agent.types import Answer

__all__ = ["Looked", "LookupBatches"]


class Looked(NamedTuple):
    """What a question was resolved to, by which agent, and its answer; None where the generator is to be asked."""

    agent: KBQAgent
    resolved: Resolved
    answer: Answer | None


class _Job(NamedTuple):
    fleet: Fleet
    system: System
    question: str
    dialogue: Dialogue | None
    result: Future[Looked]


class LookupBatches:
    """A thread that ranks questions; `observe` is told how many were ranked together."""

    def __init__(self, gather_seconds: float, observe: Callable[[int], None] | None = None) -> None:
        self._gather_seconds, self._observe = gather_seconds, observe or (lambda _: None)
        self._waiting: deque[_Job] = deque()
        self._has_work = threading.Condition()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="kbqa-lookups", daemon=True)
        self._thread.start()

    def submit(self, fleet: Fleet, system: System, question: str, dialogue: Dialogue | None = None) -> Future[Looked]:
        """Rank a question that was read with `KBQAgent.read`; one that is cancelled before its turn is left out."""
        job = _Job(fleet, system, question, dialogue, Future())
        with self._has_work:
            self._waiting.append(job)
            self._has_work.notify()
        return job.result

    def close(self) -> None:
        """End the thread after what it has begun."""
        with self._has_work:
            self._is_closed = True
            self._has_work.notify()

    def _run(self) -> None:
        while jobs := self._next():
            with jobs[0].fleet.in_use():  # who asked may be gone before the end
                wanted = [job for job in jobs if job.result.set_running_or_notify_cancel()]
                if wanted:
                    self._observe(len(wanted))
                    _look(wanted)

    def _next(self) -> list[_Job]:
        """The next jobs over one state of the index; none when it is closed."""
        with self._has_work:
            while not self._waiting and not self._is_closed:
                self._has_work.wait()
            if self._is_closed:
                return []
            is_alone = len(self._waiting) < AT_ONCE
        if is_alone:
            time.sleep(self._gather_seconds)
        with self._has_work:
            jobs = [self._waiting.popleft()]
            while self._waiting and len(jobs) < AT_ONCE and self._waiting[0].fleet is jobs[0].fleet:
                jobs.append(self._waiting.popleft())
            return jobs


def _look(jobs: Sequence[_Job]) -> None:
    now = jobs[0].fleet.base.as_of_now()
    open_book = [job for job in jobs if not job.system.closed_book]
    for job in jobs:
        if job.system.closed_book:
            _resolve([job], job.system.over(now))
    if open_book:
        _resolve(open_book, now)


def _resolve(jobs: Sequence[_Job], by: KBQAgent) -> None:
    """Resolve together; where that fails, one by one, so that nobody's question fails for another's."""
    try:
        resolved = by.resolve_many([(job.question, job.dialogue) for job in jobs])
    except Exception as error:
        if len(jobs) == 1:
            jobs[0].result.set_exception(error)
            return
        for job in jobs:
            _resolve([job], by)
        return
    for job, found in zip(jobs, resolved, strict=True):
        try:
            job.result.set_result(_answered(job.system.over(by), found))
        except Exception as error:
            job.result.set_exception(error)


def _answered(agent: KBQAgent, resolved: Resolved) -> Looked:
    """Answer as far as that needs no generator."""
    if resolved.ranked is None:
        return Looked(agent, resolved, None)
    asking = copy(agent)
    if agent.generator is not None:
        resolved = resolved._replace(answer=None)
        asking.generator = _Consulted(agent.generator.name)
    try:
        return Looked(agent, resolved, asking.answer_to(resolved))
    except _GeneratorNeededError:
        return Looked(agent, resolved, None)


class _GeneratorNeededError(Exception):
    """The generator would be asked."""


class _Consulted:
    """A generator that stops an answer as soon as it is asked; several threads may ask it, so none waits its turn."""

    def __init__(self, name: str) -> None:
        self.name = name

    def score(self, *_: Any, **__: Any) -> NoReturn:
        raise _GeneratorNeededError

    def generate(self, *_: Any, **__: Any) -> NoReturn:
        raise _GeneratorNeededError

    def executor(self) -> NoReturn:
        raise _GeneratorNeededError
