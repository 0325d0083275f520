"""Work in threads that a program which ends does not wait for."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Any, ParamSpec, TypeVar

__all__ = ["DaemonExecutor"]

P = ParamSpec("P")
T = TypeVar("T")
Work = Callable[[], None]


class DaemonExecutor(Executor):
    """Daemon threads (one, if not said otherwise) that do what is submitted, in order, until they are shut down.

    Those of `ThreadPoolExecutor` keep the program from ending until their work is done.
    """

    def __init__(self, name: str, threads: int = 1) -> None:
        self._work: SimpleQueue[Work | None] = SimpleQueue()
        self._threads = [Thread(target=_do_all, args=(self._work,), name=name, daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Let a thread call a function after what was submitted before."""
        future: Future[T] = Future()
        self._work.put(partial(_do, future, partial(fn, *args, **kwargs)))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002 - the base class's
        """Let the threads end after what was submitted."""
        for _ in self._threads:
            self._work.put(None)
        if wait:
            for thread in self._threads:
                thread.join()


def _do_all(work: SimpleQueue[Work | None]) -> None:
    for do in iter(work.get, None):
        do()
        del do  # while it waits for more, it holds nothing of what is done


def _do(future: Future[Any], call: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(call())
    except BaseException as error:
        future.set_exception(error)
