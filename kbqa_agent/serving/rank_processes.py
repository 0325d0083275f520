"""Processes that rank beside the server's own: Python's lock lets one process use one processor.

One that ends, or says nothing for too long, is started again.
"""

from __future__ import annotations

import logging
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import NamedTuple

from kb_index.manifest import Manifest
from kbqa_agent.recipe import AgentRecipe
from kbqa_agent.serving.batch_queue import BatchQueue
from kbqa_agent.serving.child import end_child, start_child
from kbqa_agent.serving.rank_process import Task
from kbqa_agent.serving.ranking_alone import Alone

__all__ = ["RankProcesses"]

logger = logging.getLogger(__name__)
PAUSES = (0.5, 30.0)
"""Seconds before a process is started again: the first time, and at most, doubled each time that it ended soon."""
LONG_SECONDS = 60.0
"""A process that has lived so long did not end for how it was started."""


class _Job(NamedTuple):
    task: Task
    result: Future[Alone | None]


class RankProcesses:
    """So many processes over one state of an index, each with a thread here that hands it questions.

    What a process cannot do comes back as None, to be done in the server itself; so does what it was at for
    `patience` seconds.
    """

    def __init__(
        self,
        recipe: AgentRecipe,
        manifest: Manifest,
        processes: int,
        gather_seconds: float,
        observe: Callable[[int], None] = lambda _: None,
        patience: float = 60.0,
    ) -> None:
        self._recipe, self._manifest, self._observe, self._patience = recipe, manifest, observe, patience
        self._queue = BatchQueue[_Job](gather_seconds, processes)
        self._lock, self._n_alive = threading.Lock(), 0
        self._children: set[subprocess.Popen[bytes]] = set()
        self._is_closed = threading.Event()
        self._are_open = [threading.Event() for _ in range(processes)]
        self._threads = [
            threading.Thread(target=self._run, args=(opened,), name="kbqa-rank-process", daemon=True)
            for opened in self._are_open
        ]
        for thread in self._threads:
            thread.start()

    @property
    def n_alive(self) -> int:
        """How many processes rank."""
        return self._n_alive

    def wait_until_open(self) -> None:
        """Wait until each has its index open, or cannot open it."""
        for opened in self._are_open:
            opened.wait()

    def submit(self, task: Task) -> Future[Alone | None]:
        """Rank a question in one of the processes; one that is cancelled before its turn is left out."""
        job = _Job(task, Future())
        self._queue.put(job)
        if not self._n_alive:
            self._give_back()
        return job.result

    def close(self) -> None:
        """End the processes after what they have begun."""
        self._is_closed.set()
        self._queue.close()

    def join(self, seconds: float) -> None:
        """Wait until those that were closed have ended, and kill what has not after so many seconds."""
        ends = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, ends - time.monotonic()))
        with self._lock:
            for child in self._children:
                child.kill()

    def _run(self, opened: threading.Event) -> None:
        """Keep one process going; one that cannot open the index is not started again."""
        pause = PAUSES[0]
        while not self._is_closed.is_set():
            began = time.monotonic()
            try:
                self._serve(opened)
                return
            except (OSError, EOFError) as error:
                if not self._is_closed.is_set():
                    logger.warning("a process that ranks has ended (%s); it is started again", error or "killed")
            except Exception:
                logger.exception("a process that ranks failed; it is not started again")
                return
            finally:
                opened.set()
            if time.monotonic() - began > LONG_SECONDS:
                pause = PAUSES[0]
            self._is_closed.wait(pause)
            pause = min(2 * pause, PAUSES[1])

    def _serve(self, opened: threading.Event) -> None:
        """Start a process, and hand it questions until the queue is closed."""
        process, ours = start_child("kbqa_agent.serving.rank_process")
        with self._lock:
            self._children.add(process)
        try:
            ours.send((self._recipe, self._manifest))
            fault = ours.recv()
            if fault is not None:
                logger.warning("a process that ranks: %s; the server ranks itself", fault)
            else:
                with self._counted():
                    opened.set()
                    self._hand_out(ours)
        except TimeoutError:
            process.kill()  # it would not heed that its pipe is closed
            raise
        finally:
            end_child(process, ours)
            with self._lock:
                self._children.discard(process)

    def _hand_out(self, ours: Connection) -> None:
        while jobs := self._queue.take():
            wanted = [job for job in jobs if job.result.set_running_or_notify_cancel()]
            if not wanted:
                continue
            self._observe(len(wanted))
            done: list[Alone | None] = [None] * len(wanted)
            try:
                ours.send([job.task for job in wanted])
                if not ours.poll(self._patience):
                    raise TimeoutError(f"no word for {self._patience:g} seconds")
                done = ours.recv()
            finally:
                for job, found in zip(wanted, done, strict=True):
                    job.result.set_result(found)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """Count a process as one that ranks; where none is left, nobody waits for one."""
        with self._lock:
            self._n_alive += 1
        try:
            yield
        finally:
            with self._lock:
                self._n_alive -= 1
            if not self._n_alive:
                self._give_back()

    def _give_back(self) -> None:
        for job in self._queue.left():
            if job.result.set_running_or_notify_cancel():
                job.result.set_result(None)
