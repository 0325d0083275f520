"""When two questions, or two answers, are the same to feedback, and what a question says beside the entity's name."""

from __future__ import annotations

from collections.abc import Sequence

from kb_index.normalize import normalize_name
from kbqa_agent.features import attribute_of
from kbqa_agent.mention_features import PUNCTUATION, mask_mention
from kbqa_agent.prompts import escape
from kbqa_agent.types import Candidate, EntityMention

__all__ = ["attribute_behind", "question_key", "text_key", "wording_of"]


def question_key(question: str) -> str:
    """The form in which questions are the same: width, case, white space and punctuation do not count.

    >>> question_key("《坛经》 是谁写的？") == question_key("坛经是谁写的")
    True
    """
    return PUNCTUATION.sub("", normalize_name(question)) or normalize_name(question)


def text_key(answer: str) -> str:
    """The form in which answers are the same: width, case, white space and control characters do not count."""
    return normalize_name(escape(answer, len(answer)))


def attribute_behind(candidate: Candidate) -> str | None:
    """The attribute whose value the candidate is; None for one that is no value, such as a number counted."""
    if not candidate.evidence or candidate.evidence[0].object != candidate.answer:
        return None
    return attribute_of(candidate.evidence[0].predicate)


def wording_of(question: str, candidate: Candidate, mentions: Sequence[EntityMention]) -> str | None:
    """The question with the name of the candidate's entity masked; None where no mention names it."""
    about = {candidate.evidence[0].subject_id} if candidate.evidence else set()
    mention = next((m for m in mentions if about & {e.id for e in m.entities}), None)
    return mask_mention(question, mention) if mention else None
