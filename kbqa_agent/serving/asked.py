"""A question to the server, and its reply."""

from __future__ import annotations

from dataclasses import dataclass

from kbqa_agent.dialogue import Dialogue
from kbqa_agent.types import Answer

__all__ = ["Asked", "Reply"]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, whose it is, in which of their dialogues, and which system is to answer; None: the first one.

    `context` is a dialogue that is not kept here, for who sends it with each request. An answer that is not `kept`
    is nobody's to rate: it only makes a context whole.
    """

    question: str
    user: str
    dialogue: str | None = None
    system: str | None = None
    context: Dialogue | None = None
    kept: bool = True


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, its id, the system that gave it, and the whole question if a follow-up was made whole.

    `timed_out`: the generator took too long, and this is the ranker's answer.
    """

    answer: Answer
    answer_id: str
    system: str
    dialogue: str | None = None
    understood: str | None = None
    timed_out: bool = False
