"""A bound on what is under way: who comes when it is full is told to come again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from kbqa_agent.serving.failures import ServingError

__all__ = ["Gate"]


class Gate:
    """Lets at most so many through at once, and of one of several users half as many; for one event loop."""

    def __init__(self, what: str, most: int, retry_seconds: float = 1.0, is_shared: bool = False) -> None:
        self.what, self.most, self._retry_seconds = what, most, retry_seconds
        self._most_of_user = -(-most // 2) if is_shared else most
        self.n_inside = self.n_refused = 0
        self._of_user: Counter[str] = Counter()

    @contextmanager
    def inside(self, user: str = "") -> Iterator[None]:
        """Count as one that is under way until the end of a block. Raises: ServingError 503 when it is full."""
        for n_inside, most in ((self.n_inside, self.most), (self._of_user[user], self._most_of_user)):
            if n_inside >= most:
                self.n_refused += 1
                text = f"{n_inside} {self.what} are under way, at most {most}; try again"
                raise ServingError.later(503, text, self._retry_seconds)
        self.n_inside += 1
        self._of_user[user] += 1
        try:
            yield
        finally:
            self.n_inside -= 1
            self._of_user[user] -= 1
            if not self._of_user[user]:
                del self._of_user[user]
