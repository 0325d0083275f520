"""Question -> answer over an open index; what an application embeds is `KBQAgent` and `Dialogue`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from kbqa_agent.types import Answer, Candidate, EntityMention, Feedback, Generator, QAExample, Ranker, Rating, Turn

if TYPE_CHECKING:
    from kbqa_agent.agent import KBQAgent
    from kbqa_agent.config import AgentConfig
    from kbqa_agent.dialogue import Dialogue
    from kbqa_agent.explaining import Explanation, Reason
    from kbqa_agent.feedback import FeedbackStore
    from kbqa_agent.streaming import Event, Piece, Shortlist

__all__ = [
    "AgentConfig",
    "Answer",
    "Candidate",
    "Dialogue",
    "EntityMention",
    "Event",
    "Explanation",
    "Feedback",
    "FeedbackStore",
    "Generator",
    "KBQAgent",
    "Piece",
    "QAExample",
    "Ranker",
    "Rating",
    "Reason",
    "Shortlist",
    "Turn",
]

_LAZY = {
    "AgentConfig": "kbqa_agent.config",
    "Dialogue": "kbqa_agent.dialogue",
    "FeedbackStore": "kbqa_agent.feedback",
    "Event": "kbqa_agent.streaming",
    "Explanation": "kbqa_agent.explaining",
    "KBQAgent": "kbqa_agent.agent",
    "Piece": "kbqa_agent.streaming",
    "Reason": "kbqa_agent.explaining",
    "Shortlist": "kbqa_agent.streaming",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)
