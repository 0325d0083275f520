"""What callers get, as models that document it; replies are made as plain values, and not checked again."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel

from kbqa_agent.answer_forms import answer_to_json
from kbqa_agent.serving.asked import Reply

__all__ = [
    "AnswerReply",
    "DialogueReply",
    "DialoguesReply",
    "EntitiesReply",
    "ErrorReply",
    "FeedbackGiven",
    "FeedbackListReply",
    "NewDialogueReply",
    "TriplesReply",
    "reply_to_json",
]


class ErrorText(BaseModel):
    """What went wrong, in one line that says what to do."""

    type: str
    message: str


class ErrorReply(BaseModel):
    """Every refusal."""

    error: ErrorText


class TripleReply(BaseModel):
    """One fact of the knowledge base; `subject_key` is its subject's IRI, `extra` are other columns of its sources."""

    id: int
    subject: str
    subject_id: int
    subject_key: str | None = None
    predicate: str
    object: str
    extra: list[dict[str, str]] | None = None


class CandidateReply(BaseModel):
    """A possible answer, its probability, and the triples it rests on, best first."""

    answer: str
    score: float
    evidence: list[TripleReply]


class MentionReply(BaseModel):
    """The stretch of the question that names an entity."""

    text: str
    start: int
    end: int
    entity: str | None
    key: str | None = None


class ChoiceReply(BaseModel):
    """One of several entities that a question may mean; its name, or its number, is a reply that picks it."""

    entity: str
    entity_id: int
    answer: str


class AnswerReply(BaseModel):
    """An answer as `kbqa ask --json` prints it, and what a page needs beside it.

    `generator` is "timed out" where it took too long and the answer is the ranker's, else None.
    """

    question: str
    answer: str | None
    values: list[str]
    confidence: float
    abstained: Literal["no_entity", "no_attribute", "ambiguous", "low_confidence"] | None
    supported: bool
    mentions: list[MentionReply]
    candidates: list[CandidateReply]
    timings_ms: dict[str, float]
    choices: list[ChoiceReply] | None = None
    partial: bool = False
    answer_id: str
    system: str | None
    dialogue: str | None
    understood: str | None
    sentence: str
    generator: Literal["timed out"] | None = None


def reply_to_json(reply: Reply) -> dict[str, Any]:
    """The plain values of an `AnswerReply`."""
    return {
        **answer_to_json(reply.answer),
        "answer_id": reply.answer_id,
        "system": reply.system,
        "dialogue": reply.dialogue,
        "understood": reply.understood,
        "sentence": reply.answer.explain().sentence,
        "generator": "timed out" if reply.timed_out else None,
    }


class NewDialogueReply(BaseModel):
    """A dialogue that has begun."""

    id: str


class DialogueSummaryReply(BaseModel):
    """A dialogue in a list; its title is its first question."""

    id: str
    title: str | None
    turns: int
    updated: str


class DialoguesReply(BaseModel):
    """Your dialogues, the one used last first."""

    dialogues: list[DialogueSummaryReply]


class RatedReply(BaseModel):
    """Your feedback on an answer: its number, with which it is taken back."""

    id: int
    rating: Literal["good", "bad", "unknown"]


class TurnReply(BaseModel):
    """A question as it was asked, the answer, and your feedback on it that counts."""

    said: str
    answer: AnswerReply
    feedback: RatedReply | None


class DialogueReply(BaseModel):
    """A dialogue with its turns, the oldest first."""

    id: str
    turns: list[TurnReply]


class FeedbackGiven(BaseModel):
    """The number of a piece of feedback that is on the disk."""

    id: int


class FeedbackReply(BaseModel):
    """A piece of feedback of yours; `answer_id` is None where it was undone, or given elsewhere."""

    id: int
    created: str
    answer_id: str | None
    question: str
    answer: str | None
    rating: Literal["good", "bad", "unknown"]
    correction: str | None
    comment: str | None
    undone: bool


class FeedbackListReply(BaseModel):
    """Your last pieces of feedback, in the order in which they came."""

    feedback: list[FeedbackReply]


class EntityReply(BaseModel):
    """An entity; several may share a name."""

    id: int
    name: str


class EntitiesReply(BaseModel):
    """Entities."""

    entities: list[EntityReply]


class FactReply(BaseModel):
    """A triple, the id of its subject, and whether its object is a name of an entity, too."""

    id: int
    subject_id: int
    subject: str
    predicate: str
    object: str
    object_is_entity: bool


class TriplesReply(BaseModel):
    """The neighbourhood of entities: what is said of them, and what says something with them as object."""

    entities: list[EntityReply]
    triples: list[FactReply]
    about: list[FactReply]
    more: bool
