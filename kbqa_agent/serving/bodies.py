"""What callers send: bodies of requests, in which nothing may stand that is not read."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

__all__ = ["MAX_ID", "MAX_QUESTION_CHARS", "ComparisonBody", "FeedbackBody", "QuestionBody", "VoteBody"]

MAX_QUESTION_CHARS = 2000
MAX_ID = 2**53 - 1
"""The largest whole number that every JSON reader takes as it is."""
Id = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Question = Annotated[str, StringConstraints(min_length=1, max_length=MAX_QUESTION_CHARS)]
SystemName = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class QuestionBody(_Body):
    """A question, which stands for itself, or is the next of a dialogue."""

    question: Question = Field(description="In natural language.", examples=["法国的首都是哪里？"])
    dialogue: Id | None = Field(None, description="Id of a dialogue of yours, from POST /api/dialogues.")
    system: SystemName | None = Field(None, description="Which of GET /api/systems answers; default: the first.")


class FeedbackBody(_Body):
    """What you think of an answer that you got."""

    answer_id: Id
    rating: Literal["good", "bad", "unknown"] = Field(description="unknown: the knowledge base does not hold it.")
    correction: Annotated[str, StringConstraints(max_length=1000)] | None = Field(
        None, description="What the answer should have been; with the rating bad."
    )
    comment: Annotated[str, StringConstraints(max_length=2000)] | None = None


class ComparisonBody(_Body):
    """A question to two systems."""

    question: Question = Field(examples=["法国的首都是哪里？"])
    systems: list[SystemName] = Field(min_length=2, max_length=2, description="Two of GET /api/systems.")
    blind: bool = Field(False, description="Put them left and right by chance, and do not tell which is which.")


class VoteBody(_Body):
    """Which of two answers is better."""

    comparison_id: Id
    winner: Literal["left", "right", "tie"]
