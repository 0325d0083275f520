"""Work on batches of questions, in several processes where there are many: each has the index open for itself.

The processes start anew, so that nothing of the caller's threads is copied, and do not run the caller's main module
again, so that a script needs no guard around its own code. joblib keeps them for the next call, and lets them end when
they have been idle.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache
from itertools import chain
from math import ceil
from pathlib import Path
from typing import Any, TypeVar

from kb_index.errors import IndexFolderError, WorkerError
from kb_index.knowledge_base import KnowledgeBase
from kb_index.manifest import Manifest

__all__ = ["batches", "n_processors", "over_batches", "threads_for"]

AT_ONCE = 50
IDLE_SECONDS = 120
ROWS_WORTH_THREADS = 50_000
RESTARTED = "A worker stopped while some jobs were given to the executor"
"""How joblib warns when it starts a process anew that has grown, as one does that maps more and more of an index."""

T = TypeVar("T")
Work = Callable[..., list[T]]


def batches(items: Sequence[T], processes: int = 1) -> list[Sequence[T]]:
    """Cut a sequence into parts of at most `AT_ONCE`, so that as many of about the same size fall to each process.

    >>> [len(part) for part in batches(range(120))], [len(part) for part in batches(range(120), processes=2)]
    ([40, 40, 40], [30, 30, 30, 30])
    """
    rounds = max(1, ceil(len(items) / (processes * AT_ONCE)))
    size = max(1, ceil(len(items) / (processes * rounds)))
    return [items[start : start + size] for start in range(0, len(items), size)]


def n_processors() -> int:
    """How many processors may be used."""
    from joblib import cpu_count

    return int(cpu_count())


def threads_for(n_rows: int) -> int:
    """How many threads trees should be trained with on so many rows; 0 is one for each processor.

    They wait for each other at every split. Where other programs want the processors too, that takes many times as long
    as the work itself, and with few rows there is little to share.
    """
    return 0 if n_rows >= ROWS_WORTH_THREADS else 1


def over_batches(kb: KnowledgeBase, work: Work[T], tasks: Iterable[tuple[Any, ...]], processes: int) -> Iterator[T]:
    """Give what `work(kb, *task)` lists for each task, in their order; `work` is a function of a module.

    Raises: IndexFolderError when the index was changed since it was opened; WorkerError when a process was ended.
    """
    if processes == 1:
        yield from chain.from_iterable(work(kb, *task) for task in tasks)
        return
    from joblib import Parallel, delayed

    parallel = Parallel(
        processes, return_as="generator", max_nbytes=None, idle_worker_timeout=IDLE_SECONDS, batch_size=1
    )
    path, manifest, partial = kb.path.resolve(), kb.manifest, kb.opening.partial
    # A thread of joblib's warns, at any time: filters that were put back would be so between two answers.
    warnings.filterwarnings("ignore", RESTARTED)
    try:
        yield from chain.from_iterable(
            parallel(delayed(_elsewhere)(path, partial, manifest, work, task) for task in tasks)
        )
    except BrokenProcessPool as error:
        raise WorkerError(
            f"one of {processes} processes was ended, perhaps as memory was full; use fewer: --processes 1"
        ) from error


def _elsewhere(path: Path, partial: bool, manifest: Manifest, work: Work[T], task: tuple[Any, ...]) -> list[T]:
    kb = _opened(path, partial)
    if kb.manifest != manifest:
        kb.reopen()
    if kb.manifest != manifest:
        raise IndexFolderError(f"{path}: was changed while questions were asked of it; start again")
    return work(kb, *task)


@lru_cache(maxsize=1)
def _opened(path: Path, partial: bool) -> KnowledgeBase:
    return KnowledgeBase.open(path, partial=partial)
