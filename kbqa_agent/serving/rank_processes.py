"""Processes that rank beside the server's own: Python's lock lets one process use one processor."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import NamedTuple

from kb_index.manifest import Manifest
from kbqa_agent.recipe import AgentRecipe
from kbqa_agent.serving.batch_queue import BatchQueue
from kbqa_agent.serving.child import END_SECONDS, end_child, start_child
from kbqa_agent.serving.rank_process import Task
from kbqa_agent.serving.ranking_alone import Alone

__all__ = ["RankProcesses"]

logger = logging.getLogger(__name__)


class _Job(NamedTuple):
    task: Task
    result: Future[Alone | None]


class RankProcesses:
    """So many processes over one state of an index, each with a thread here that hands it questions.

    What a process cannot do comes back as None, to be done in the server itself.
    """

    def __init__(
        self,
        recipe: AgentRecipe,
        manifest: Manifest,
        processes: int,
        gather_seconds: float,
        observe: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._recipe, self._manifest, self._observe = recipe, manifest, observe
        self._queue = BatchQueue[_Job](gather_seconds, processes)
        self._lock, self._n_alive = threading.Lock(), processes
        self._are_open = [threading.Event() for _ in range(processes)]
        self._threads = [
            threading.Thread(target=self._run, args=(opened,), name="kbqa-rank-process", daemon=True)
            for opened in self._are_open
        ]
        for thread in self._threads:
            thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether any process ranks."""
        return self._n_alive > 0

    def wait_until_open(self) -> None:
        """Wait until each has its index open, or cannot open it."""
        for opened in self._are_open:
            opened.wait()

    def submit(self, task: Task) -> Future[Alone | None]:
        """Rank a question in one of the processes; one that is cancelled before its turn is left out."""
        job = _Job(task, Future())
        self._queue.put(job)
        if not self.is_alive:
            self._give_back()
        return job.result

    def close(self) -> None:
        """End the processes after what they have begun."""
        self._queue.close()

    def join(self) -> None:
        """Wait until those that were closed have ended."""
        for thread in self._threads:
            thread.join(2 * END_SECONDS)

    def _run(self, opened: threading.Event) -> None:
        try:
            process, ours = start_child("kbqa_agent.serving.rank_process")
            try:
                ours.send((self._recipe, self._manifest))
                fault = ours.recv()
                opened.set()
                if fault is not None:
                    logger.warning("a process that ranks: %s; the server ranks itself", fault)
                else:
                    self._hand_out(ours.send, ours.recv)
            finally:
                end_child(process, ours)
        except (OSError, EOFError) as error:
            logger.warning("a process that ranks has ended (%s); the others, or the server itself, go on", error)
        finally:
            opened.set()
            self._one_less()

    def _hand_out(self, send: Callable[[list[Task]], None], receive: Callable[[], list[Alone | None]]) -> None:
        while jobs := self._queue.take():
            wanted = [job for job in jobs if job.result.set_running_or_notify_cancel()]
            if not wanted:
                continue
            self._observe(len(wanted))
            done: list[Alone | None] = [None] * len(wanted)
            try:
                send([job.task for job in wanted])
                done = receive()
            finally:
                for job, found in zip(wanted, done, strict=True):
                    job.result.set_result(found)

    def _one_less(self) -> None:
        """Where no process is left, nobody waits for one."""
        with self._lock:
            self._n_alive -= 1
        if not self.is_alive:
            self._give_back()

    def _give_back(self) -> None:
        for job in self._queue.left():
            if job.result.set_running_or_notify_cancel():
                job.result.set_result(None)
