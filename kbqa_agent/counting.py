"""Questions for a number that no triple states: 姚明有几个女儿 counts the triples that name one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from kb_index.types import Triple
from kbqa_agent.features import attribute_of
from kbqa_agent.frame import CLOSING_MARKS, without_closing
from kbqa_agent.proposals import SURE, subject_meant, told
from kbqa_agent.types import Answer, Candidate, EntityMention, Proposal

__all__ = ["asks_for_number", "count", "count_by_asking", "counted"]

MAX_EVIDENCE = 20

_UNIT = "[个位名部座所条只家本首种支处款张间任]"
_MANY = f"(?:几{_UNIT}?|多少{_UNIT})"
_AFTER_NAME = (
    re.compile(rf"的?(?:一共|总共|共)?有{_MANY}(?P<a>.+)"),
    re.compile(rf"的?(?P<a>.+?)(?:一共|总共|共)?有{_MANY}人?"),
)
_HOW_MANY = re.compile(rf"(?<!哪)几{_UNIT}|多少{_UNIT}")
_NUMBER_ASKED = re.compile(rf"{_HOW_MANY.pattern}|(?i:\bhow many\b)")
_NUMERALS = "[〇零一二两三四五六七八九十百千万半数]"
_STATES_NUMBER = re.compile(
    rf"\d|^\s*[约近共有达]?\s*{_NUMERALS}+[多余]?(?:$|[个位名部座所条只本首种处款张间任人口集期年岁亿])"
)
_SEPARATORS = re.compile(r"[、，,;；/|]|\s和\s|\sand\s")


def asks_for_number(question: str) -> bool:
    """Whether a question asks how many there are.

    >>> asks_for_number("曹雪芹写过几本书"), asks_for_number("How many films did he direct?"), asks_for_number("谁")
    (True, True, False)
    """
    return bool(_NUMBER_ASKED.search(question))


def count(
    question: str, mentions: Iterable[EntityMention], triples: Sequence[Triple], ranked: Sequence[Candidate]
) -> Proposal | None:
    """Count the values of an attribute that the question names; None where it names none, or a value is a number.

    Of several entities of that name the one that comes first among the ranked candidates is meant.
    """
    for mention in mentions:
        rest = without_closing(question[mention.end :]).lstrip(CLOSING_MARKS)
        ids = {e.id for e in mention.entities}
        for match in filter(None, (pattern.fullmatch(rest) for pattern in _AFTER_NAME)):
            asked = attribute_of(match["a"])
            found = [t for t in triples if t.subject_id in ids and attribute_of(t.predicate) == asked]
            if found and not any(_STATES_NUMBER.search(t.object) for t in found):
                return _of_subject(found, subject_meant(found, ranked))
    return None


def _of_subject(found: Sequence[Triple], subject: int) -> Proposal:
    same = [t for t in found if t.subject_id == subject]
    parts = dict.fromkeys(part.strip() for t in same for part in _SEPARATORS.split(t.object) if part.strip())
    return told(str(len(parts)), same[:MAX_EVIDENCE])


def count_by_asking(question: str, ask: Callable[[str], Answer | None]) -> Proposal | None:
    """Count the answers to the question which they are; None where there are none, or a triple states the number.

    `ask` gives None where nothing is likely enough.
    """
    asks_which = _HOW_MANY.sub("哪些", question, count=1)
    answer = ask(asks_which) if asks_which != question else None
    if answer is None or not answer.values or any(_STATES_NUMBER.search(value) for value in answer.values):
        return None
    evidence = [t for c in answer.candidates if c.answer in answer.values for t in c.evidence[:1]]
    return told(str(len(answer.values)), evidence[:MAX_EVIDENCE], SURE * answer.confidence)


def counted(proposal: Proposal) -> Proposal:
    """The number of an answer's values, on all their evidence; where a triple states a number, that stays."""
    best = proposal.candidates[0]
    is_stated = best.answer == best.evidence[-1].object and _STATES_NUMBER.search(best.answer)
    if len(proposal.values) == 1 and is_stated:
        return proposal
    evidence = {t.id: t for c in proposal.candidates for t in c.evidence}
    return told(str(len(proposal.values)), list(evidence.values())[:MAX_EVIDENCE], best.score)
