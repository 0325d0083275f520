"""Which feedback is taken: lengths, characters, and whether there is such an answer at all."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

from kb_index.errors import FeedbackError
from kbqa_agent.feedback_records import Shown
from kbqa_agent.feedback_texts import text_key
from kbqa_agent.prompts import escape
from kbqa_agent.types import Answer, Feedback, Rating

__all__ = ["MAX_CHARS", "about_candidate", "checked", "checked_user"]

MAX_CHARS = {"user": 100, "question": 10_000, "correction": 1_000, "comment": 2_000}
"""The longest texts that are taken, in characters."""


def checked(feedback: Feedback, shown: Shown) -> Feedback:
    """Give the feedback with control characters of correction and comment as blanks, or say why it cannot be taken.

    Raises: FeedbackError for another rating than good, bad or unknown, a text that is too long or not UTF-8, a
    correction beside another rating than bad or of the very answer, and a rating of an answer that there is not.
    """
    if feedback.rating not in get_args(Rating):
        raise FeedbackError(f"rating {str(feedback.rating)[:40]!r}: expected one of {', '.join(get_args(Rating))}")
    if not feedback.question.strip():
        raise FeedbackError("feedback on an empty question; give the question that was asked")
    _check_text("question", feedback.question)
    correction = _line("correction", feedback.correction)
    if correction is not None and feedback.rating != "bad":
        raise FeedbackError(f"a correction beside the rating {feedback.rating!r}: expected 'bad' with a correction")
    _check_answer(feedback, shown)
    if correction is not None and feedback.answer is not None and text_key(correction) == text_key(feedback.answer):
        raise FeedbackError(f"the correction is the answer itself, {correction[:40]!r}; rate it good, or give another")
    return replace(feedback, correction=correction, comment=_line("comment", feedback.comment))


def checked_user(user: str) -> str:
    """Give a user's name without control characters and blanks around it. Raises: FeedbackError."""
    name = _line("user", user)
    if name is None:
        raise FeedbackError("the user's name is empty; say who gives the feedback")
    return name


def about_candidate(answer: Answer, text: str) -> Answer:
    """The same answer with another of its candidates as its text, for feedback on that one.

    Raises: FeedbackError when no candidate says so.
    """
    said = next((c for c in answer.candidates if text_key(c.answer) == text_key(text)), None)
    if said is None:
        raise _no_such_answer(text)
    if said.answer == answer.text:
        return answer
    return replace(answer, text=said.answer, confidence=said.score, values=(), supported=bool(said.evidence))


def _check_answer(feedback: Feedback, shown: Shown) -> None:
    if feedback.answer is None:
        if feedback.rating != "unknown" and feedback.correction is None:
            raise FeedbackError(
                f"nothing was answered, so nothing is {feedback.rating}; give a correction, or the rating unknown"
            )
    elif shown.supported and all(c.answer != feedback.answer for c in shown.candidates):
        raise _no_such_answer(feedback.answer)


def _no_such_answer(text: str) -> FeedbackError:
    return FeedbackError(f"{text[:40]!r} is not among the answers to this question; rate one of its candidates")


def _line(name: str, text: str | None) -> str | None:
    """A text as one line without control characters; None where nothing is left."""
    if text is None:
        return None
    _check_text(name, text)
    return escape(text, len(text)) or None


def _check_text(name: str, text: str) -> None:
    if len(text) > MAX_CHARS[name]:
        raise FeedbackError(f"the {name} has {len(text):,} characters; at most {MAX_CHARS[name]:,} are taken")
    if any("\ud800" <= c <= "\udfff" for c in text):
        raise FeedbackError(f"the {name} is not UTF-8; send it in UTF-8")
