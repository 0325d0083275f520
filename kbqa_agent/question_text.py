"""What can be asked: the check of a question's text, before anything is looked up."""

from __future__ import annotations

import re

from kb_index.errors import QuestionError

__all__ = ["check_question", "read_question", "shown"]

CONTROL = re.compile(r"[\x00-\x1f\x7f]")
SHOWN_CHARS = 60


def read_question(question: str, max_chars: int) -> str:
    """Give a question as it is asked: its control characters are blanks. Raises: QuestionError as `check_question`."""
    check_question(question, max_chars)
    return CONTROL.sub(" ", question)


def check_question(question: str, max_chars: int) -> None:
    """Find out whether a question can be asked.

    Raises: QuestionError when it is empty, longer than `max_chars` or no text.
    """
    if not isinstance(question, str):
        raise QuestionError(f"the question is {shown(question)}; expected a text (str)")
    if not question.strip():
        raise QuestionError("the question is empty; ask something")
    if any("\ud800" <= c <= "\udfff" for c in question):
        raise QuestionError("the question is not UTF-8; send it in UTF-8, or set the terminal to it")
    if len(question) > max_chars:
        raise QuestionError(f"the question has {len(question):,} characters; at most {max_chars:,} are read")


def shown(value: object) -> str:
    """As much of a value as a message can show."""
    return repr(value)[:SHOWN_CHARS]
