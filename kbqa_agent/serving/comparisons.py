"""The comparisons that wait for a vote, of which the last thousand are kept in memory."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

from kbqa_agent.serving.dialogue_store import new_id

if TYPE_CHECKING:
    from kbqa_agent.serving.asked import Reply

__all__ = ["Comparison", "Comparisons"]

OPEN_COMPARISONS = 1000


class Comparison(NamedTuple):
    """What two systems replied to somebody's question; `blind` if they were not told which is which."""

    user: str
    question: str
    left: Reply
    right: Reply
    blind: bool


class Comparisons:
    """For one event loop; the oldest is forgotten first."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, Comparison] = OrderedDict()

    def keep(self, comparison: Comparison) -> str:
        """Keep it until there is a vote, and give its id."""
        number = new_id()
        self._waiting[number] = comparison
        while len(self._waiting) > OPEN_COMPARISONS:
            self._waiting.popitem(last=False)
        return number

    def find(self, number: str, user: str) -> Comparison | None:
        """A user's own; None where there is none of this id."""
        found = self._waiting.get(number)
        return found if found is not None and found.user == user else None

    def forget(self, number: str) -> None:
        """It has its vote."""
        self._waiting.pop(number, None)
