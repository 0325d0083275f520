"""Where the tasks of a build are done: in this process one after the other, or on a Ray cluster.

Tasks are functions of one picklable argument that leave their results in the folder of the index, which all machines of
a cluster must see under the same path. A task can be done again at any time.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from kb_index.build import package_version
from kb_index.errors import InputError, KBQAError, WorkerError
from kb_index.ray_session import check_gpus, ray_session

__all__ = ["Engine", "LocalEngine", "RayEngine", "open_engine"]

T = TypeVar("T")

RETRIES = 5
"""So often a task is done again that ended with its worker or its machine."""

CANCEL_SECONDS = 30


class Engine(Protocol):
    """Does tasks."""

    threads: int | None
    """How many threads a task may use; None: one for each processor."""

    def run(
        self,
        function: Callable[[T], None],
        tasks: Sequence[T],
        on_done: Callable[[int], object],
        gpus: float | None = 0,
    ) -> None:
        """Do a function with each task, on so many GPUs each; `on_done` is told 1 for each that is done.

        None is one GPU where the machines have some. Raises: what the function raises.
        """


@contextmanager
def open_engine(name: str, address: str | None = None) -> Iterator[Engine]:
    """Lend the engine `local`, or `ray` on the cluster at an address or on one of this machine alone.

    Raises:
        MissingExtraError: Ray is not installed.
        InputError: there is no cluster at the address.
    """
    if name == "local":
        yield LocalEngine()
        return
    with ray_session(address) as ray:
        yield RayEngine(ray)


class LocalEngine:
    """Does one task after the other, in this process."""

    threads: int | None = None

    def run(
        self,
        function: Callable[[T], None],
        tasks: Sequence[T],
        on_done: Callable[[int], object],
        gpus: float | None = 0,  # noqa: ARG002 - an encoder finds those of this machine by itself
    ) -> None:
        """Do a function with each task."""
        for task in tasks:
            function(task)
            on_done(1)


class RayEngine:
    """Does tasks on a connected Ray cluster; those of a machine that is lost are done again on another."""

    threads: int | None = 1

    def __init__(self, ray: Any) -> None:
        self._ray = ray

    def run(
        self,
        function: Callable[[T], None],
        tasks: Sequence[T],
        on_done: Callable[[int], object],
        gpus: float | None = 0,
    ) -> None:
        """Do a function with each task, as many at a time as the cluster has processors.

        Raises:
            InputError: the cluster has not so many GPUs.
            WorkerError: a task ended with its worker again and again, or a machine has another version of this package.
        """
        num_gpus = self._granted(gpus)
        remote = self._ray.remote(_outcome).options(num_cpus=1, num_gpus=num_gpus, max_retries=RETRIES)
        waiting = [remote.remote(function, task, package_version()) for task in tasks]
        try:
            while waiting:
                done, waiting = self._ray.wait(waiting)
                for outcome in self._ray.get(done):
                    if outcome is not None:
                        raise outcome
                    on_done(1)
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause from error  # such as a full disk, which the caller tells as where tasks are done here
        except self._ray.exceptions.RayError as error:
            reason = str(error).strip().split("\n", 1)[0]
            raise WorkerError(
                f"a task ended with its worker {RETRIES + 1} times ({reason}); look at the memory of the machines, "
                "then run the same command again: it goes on where it stopped"
            ) from error
        finally:
            for task in waiting:
                self._ray.cancel(task)
            if waiting:  # the caller may remove the folder that they write to
                self._ray.wait(waiting, num_returns=len(waiting), timeout=CANCEL_SECONDS)

    def _granted(self, gpus: float | None) -> float:
        """How many GPUs a task gets: Ray would wait for ever for one that there is not."""
        there: float = self._ray.cluster_resources().get("GPU", 0.0)
        if gpus is None:
            return min(1.0, there)
        if gpus > there:
            raise InputError(f"{gpus:g} GPUs for a task: the cluster has {there:g}; ask for less: --gpus-per-task 0")
        check_gpus(gpus, "a task", "--gpus-per-task 0.5")
        return gpus


def _outcome(function: Callable[[T], None], task: T, version: str) -> KBQAError | None:
    """Do a task; an error of ours is handed back as it is, as Ray would make another of it."""
    if (here := package_version()) != version:  # its shards might have other names and other rules than the rest
        host = socket.gethostname()
        return WorkerError(f"machine '{host}': kbqa {here}, and the build runs {version}; install one version on all")
    try:
        function(task)
    except KBQAError as error:
        return error
    return None
