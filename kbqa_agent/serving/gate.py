"""A bound on what is under way: who comes when it is full is told to come again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from kbqa_agent.serving.failures import ServingError

__all__ = ["Gate"]


class Gate:
    """Lets at most so many through at once; for one event loop, so without a lock."""

    def __init__(self, what: str, most: int, retry_seconds: float = 1.0) -> None:
        self.what, self.most, self._retry_seconds = what, most, retry_seconds
        self.n_inside = self.n_refused = 0

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Count as one that is under way until the end of a block. Raises: ServingError 503 when it is full."""
        if self.n_inside >= self.most:
            self.n_refused += 1
            raise ServingError.later(
                503, f"{self.n_inside} {self.what} are under way, at most {self.most}; try again", self._retry_seconds
            )
        self.n_inside += 1
        try:
            yield
        finally:
            self.n_inside -= 1
