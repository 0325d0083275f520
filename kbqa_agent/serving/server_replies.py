"""What callers get of systems, comparisons and the server itself, as models that document it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from kbqa_agent.serving.replies import AnswerReply

__all__ = [
    "ComparisonReply",
    "InfoReply",
    "ReloadReply",
    "StatusReply",
    "SystemsReply",
    "VoteReply",
    "VotesReply",
]


class SystemReply(BaseModel):
    """One of the systems that can answer; `model` is None for the ranker alone."""

    name: str
    model: str | None
    closed_book: bool


class SystemsReply(BaseModel):
    """The systems that can answer, and be compared; the first is the default."""

    systems: list[SystemReply]


class ComparisonReply(BaseModel):
    """Two answers to vote on; the names of the systems are told unless it is blind."""

    comparison_id: str
    left: AnswerReply
    right: AnswerReply
    names: dict[Literal["left", "right"], str] | None


class VoteReply(BaseModel):
    """The systems that were compared."""

    id: int
    left: str
    right: str
    winner: Literal["left", "right", "tie"]


class PairReply(BaseModel):
    """How two systems compare: `win_rate` is the first one's share of the votes that are no tie, with its interval."""

    systems: list[str]
    wins: list[int]
    ties: int
    win_rate: float | None
    interval: list[float] | None


class VotesReply(BaseModel):
    """All votes, pair by pair."""

    pairs: list[PairReply]
    votes: int


class IndexReply(BaseModel):
    """What the index holds."""

    created: str
    entities: int
    attributes: int
    triples: int
    updates: int
    missing_shards: list[str]


class InfoReply(BaseModel):
    """What this server is."""

    name: str
    version: str
    index: IndexReply
    systems: list[SystemReply]
    model: str | None
    key_needed: bool
    feedback: bool
    languages: list[str]
    max_question_chars: int


class StatusReply(BaseModel):
    """Whether the server is well, or ready."""

    status: str


class ReloadReply(BaseModel):
    """Whether the index is another one since, and when it was built."""

    reloaded: bool
    created: str
