"""Where several servers answer at one address, what one of them has to ask the others."""

from __future__ import annotations

from typing import Protocol

from kbqa_agent.serving.comparisons import Comparison
from kbqa_agent.serving.open_dialogues import GivenAnswer

__all__ = ["Peers"]


class Peers(Protocol):
    """All servers of one address, the one that asks among them."""

    async def reload(self) -> bool:
        """Let all answer from what the index folder holds now; as `Service.reload`."""

    async def given_answer(self, number: str, user: str) -> GivenAnswer | None:
        """Find an answer that one of them gave a user."""

    async def comparison(self, number: str, user: str) -> Comparison | None:
        """Find a comparison that one of them showed a user."""
