"""When two questions, or two answers, are the same to feedback, and what a question says beside the entity's name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kb_index.normalize import normalize_name
from kb_index.types import Entity
from kbqa_agent.features import attribute_of
from kbqa_agent.mention_features import PUNCTUATION, mask_mention
from kbqa_agent.prompts import escape
from kbqa_agent.types import Candidate, EntityMention

__all__ = ["attribute_behind", "by_mention", "question_key", "text_key", "told_apart", "wording_of"]


def question_key(question: str) -> str:
    """The form in which questions are the same: width, case, white space and punctuation do not count.

    >>> question_key("《坛经》 是谁写的？") == question_key("坛经是谁写的")
    True
    """
    return PUNCTUATION.sub("", normalize_name(question)) or normalize_name(question)


def told_apart(question: str, meant: Entity | None) -> str:
    """The question, with the entity that was chosen among others of its name: what is right for one is not for another.

    >>> told_apart("李明是谁？", Entity(3, "李明(画家)")), told_apart("李明是谁？", None)
    ('李明是谁？（李明(画家)）', '李明是谁？')
    """
    return f"{question}（{meant.key or meant.name}）" if meant else question


def text_key(answer: str) -> str:
    """The form in which answers are the same: width, case, white space and control characters do not count."""
    return normalize_name(escape(answer, len(answer)))


def attribute_behind(candidate: Candidate) -> str | None:
    """The attribute whose value the candidate is; None for one that is no value, such as a number counted."""
    if not candidate.evidence or candidate.evidence[0].object != candidate.answer:
        return None
    return attribute_of(candidate.evidence[0].predicate)


def by_mention(
    candidates: Iterable[Candidate], mentions: Sequence[EntityMention]
) -> list[tuple[EntityMention, list[Candidate]]]:
    """The candidates of each mention that names the entity of their best triple, the first of several mentions."""
    first: dict[int, int] = {}
    for number, mention in enumerate(mentions):
        for entity in mention.entities:
            first.setdefault(entity.id, number)
    groups: dict[int, list[Candidate]] = {}
    for candidate in candidates:
        if candidate.evidence and (number := first.get(candidate.evidence[0].subject_id, -1)) >= 0:
            groups.setdefault(number, []).append(candidate)
    return [(mentions[number], group) for number, group in groups.items()]


def wording_of(question: str, candidate: Candidate, mentions: Sequence[EntityMention]) -> str | None:
    """The question with the name of the candidate's entity masked; None where no mention names it."""
    return next((mask_mention(question, mention) for mention, _ in by_mention([candidate], mentions)), None)
