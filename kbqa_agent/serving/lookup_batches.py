"""Questions of all users ranked together in a thread of the server itself.

A question that the ranker is sure of is answered here. One that needs a generator is only resolved, and given back with
what is left to be done, so that no look-up waits for a model.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import NamedTuple

from kbqa_agent.agent import KBQAgent, Resolved
from kbqa_agent.dialogue import Dialogue
from kbqa_agent.serving.batch_queue import BatchQueue
from kbqa_agent.serving.failures import ServingError
from kbqa_agent.serving.ranking_alone import Alone, Looked, rank_together
from kbqa_agent.serving.systems import Fleet, FleetClosedError, System

__all__ = ["LookupBatches"]


END_SECONDS = 5.0


class _Job(NamedTuple):
    fleet: Fleet
    system: System
    question: str
    dialogue: Dialogue | None
    with_shortlist: bool
    result: Future[Looked]


class LookupBatches:
    """A thread that ranks questions; `observe` is told how many were ranked together."""

    def __init__(self, gather_seconds: float, observe: Callable[[int], None]) -> None:
        self._observe = observe
        self._queue = BatchQueue[_Job](gather_seconds, kind=lambda job: (id(job.fleet), job.system.closed_book))
        self._thread = threading.Thread(target=self._run, name="kbqa-lookups", daemon=True)
        self._thread.start()

    def submit(
        self, fleet: Fleet, system: System, question: str, dialogue: Dialogue | None, with_shortlist: bool
    ) -> Future[Looked]:
        """Rank a question that was read with `KBQAgent.read`; one that is cancelled before its turn is left out."""
        job = _Job(fleet, system, question, dialogue, with_shortlist, Future())
        self._queue.put(job)
        return job.result

    def close(self) -> None:
        """End the thread after what it has begun."""
        self._queue.close()
        self._thread.join(END_SECONDS)

    def _run(self) -> None:
        while self._look_at(self._queue.take()):
            pass  # while it waits for more, it holds nothing of what is done

    def _look_at(self, jobs: Sequence[_Job]) -> bool:
        """Do what was taken; says whether there was anything, as there is until the queue is closed."""
        if not jobs:
            return False
        wanted = [job for job in jobs if job.result.set_running_or_notify_cancel()]
        if not wanted:
            return True
        try:
            with wanted[0].fleet.in_use():  # who asked may be gone before the end
                self._observe(len(wanted))
                _look(wanted)
        except FleetClosedError:  # those who asked are gone already
            _fail(wanted, ServingError.later(503, "the index was reloaded; ask again", 1))
        except Exception as error:  # the thread serves others after these
            _fail(wanted, error)
        return True


def _look(jobs: Sequence[_Job]) -> None:
    now = jobs[0].fleet.base.as_of_now()
    if jobs[0].system.closed_book:
        for job in jobs:
            _resolve(job, job.system.over(now))
        return
    asked = [(job.question, job.dialogue, job.system.way, job.with_shortlist) for job in jobs]
    for job, found in zip(jobs, rank_together(now, asked), strict=True):
        if isinstance(found, Exception):
            job.result.set_exception(found)
        else:
            job.result.set_result(Looked(job.system.over(now), found))


def _resolve(job: _Job, agent: KBQAgent) -> None:
    """Find the question that is meant, of which the generator alone knows more."""
    try:
        resolved = agent.resolve(job.question, job.dialogue)
    except Exception as error:
        job.result.set_exception(error)
    else:
        job.result.set_result(Looked(agent, Alone(resolved, None)))


def _fail(jobs: Sequence[_Job], error: Exception) -> None:
    for job in jobs:
        if not job.result.done():
            job.result.set_exception(error)


def answered_elsewhere(fleet: Fleet, system: System, found: Alone) -> Looked:
    """What another process ranked, as if it had been done here."""
    question, _, answer = found.resolved
    return Looked(system.over(fleet.base.as_of_now()), found._replace(resolved=Resolved(question, None, answer)))
