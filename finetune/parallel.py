"""Work on batches of questions, in several processes where there are many: each has the index open for itself.

The processes start anew, so that nothing of the caller's threads is copied, and do not run the caller's main module
again, so that a script needs no guard around its own code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from kb_index.errors import IndexFolderError
from kb_index.knowledge_base import KnowledgeBase
from kb_index.manifest import Manifest

__all__ = ["QUESTIONS_AT_ONCE", "batches", "over_batches"]

QUESTIONS_AT_ONCE = 50
IDLE_SECONDS = 20
"""After so long without work the processes end."""

T = TypeVar("T")
Work = Callable[..., list[T]]


def batches(items: Sequence[T]) -> list[Sequence[T]]:
    """Cut a sequence into parts of `QUESTIONS_AT_ONCE`, the last one shorter."""
    return [items[start : start + QUESTIONS_AT_ONCE] for start in range(0, len(items), QUESTIONS_AT_ONCE)]


def over_batches(kb: KnowledgeBase, work: Work[T], tasks: Iterable[tuple[Any, ...]], processes: int) -> Iterator[T]:
    """Give what `work(kb, *task)` lists for each task, in their order; `work` is a function of a module.

    Raises: IndexFolderError when the index was changed since it was opened.
    """
    if processes == 1:
        yield from chain.from_iterable(work(kb, *task) for task in tasks)
        return
    from joblib import Parallel, delayed

    parallel = Parallel(processes, return_as="generator", max_nbytes=None, idle_worker_timeout=IDLE_SECONDS)
    yield from chain.from_iterable(parallel(delayed(_elsewhere)(kb.path, kb.manifest, work, task) for task in tasks))


def _elsewhere(path: Path, manifest: Manifest, work: Work[T], task: tuple[Any, ...]) -> list[T]:
    kb = _opened(path)
    if kb.manifest != manifest:
        raise IndexFolderError(f"{path}: was changed while questions were asked of it; start again")
    return work(kb, *task)


@lru_cache(maxsize=1)
def _opened(path: Path) -> KnowledgeBase:
    return KnowledgeBase.open(path)
