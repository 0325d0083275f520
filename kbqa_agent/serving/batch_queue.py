"""A queue whose takers get what came within a few milliseconds, or while they were busy, together."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

__all__ = ["BatchQueue"]

T = TypeVar("T")
AT_ONCE = 20
"""So many are given together: with more the first of them would wait long for the last."""


class BatchQueue(Generic[T]):
    """Safe between threads, of which `takers` take; items of one batch have the same `kind`."""

    def __init__(self, gather_seconds: float, takers: int = 1, kind: Callable[[T], Any] = lambda _: None) -> None:
        self._gather_seconds, self._takers, self._kind = gather_seconds, takers, kind
        self._waiting: deque[T] = deque()
        self._has_some = threading.Condition()
        self._is_closed = False

    def put(self, item: T) -> None:
        """Add an item; to a closed queue, too, whose items `left` gives."""
        with self._has_some:
            self._waiting.append(item)
            self._has_some.notify()

    def close(self) -> None:
        """Give nothing more."""
        with self._has_some:
            self._is_closed = True
            self._has_some.notify_all()

    def left(self) -> list[T]:
        """Give all that nobody took."""
        with self._has_some:
            items = list(self._waiting)
            self._waiting.clear()
        return items

    def take(self) -> list[T]:
        """Wait for items, and give at most 20 of them, or this taker's share; none when it is closed."""
        while True:
            with self._has_some:
                while not self._waiting and not self._is_closed:
                    self._has_some.wait()
                if self._is_closed:
                    return []
                is_full = len(self._waiting) >= AT_ONCE
            if not is_full:
                time.sleep(self._gather_seconds)
            with self._has_some:
                if batch := self._batch():
                    return batch

    def _batch(self) -> list[T]:
        """What another taker left, up to a fair share of it."""
        if not self._waiting:
            return []
        most = min(AT_ONCE, -(-len(self._waiting) // self._takers))
        batch = [self._waiting.popleft()]
        while self._waiting and len(batch) < most and self._kind(self._waiting[0]) == self._kind(batch[0]):
            batch.append(self._waiting.popleft())
        return batch
