"""Questions with several right answers: the objects of one subject and attribute come back together."""

from __future__ import annotations

import re
from collections.abc import Sequence

from kb_index.types import Triple
from kbqa_agent.features import attribute_of
from kbqa_agent.types import Answer, Candidate

__all__ = ["asks_for_several", "fact_of", "gathered", "total", "values_of"]

_SEVERAL = re.compile(
    r"哪些|哪几|有谁|都有|都是谁|都是什么|分别是|(?i:\b(?:what|which|who)\b.*\b(?:are|were|all)\b|\blist\b)"
)


def asks_for_several(question: str) -> bool:
    """Whether the wording asks for all that there is.

    >>> asks_for_several("李白有哪些代表作？"), asks_for_several("李白的妻子是谁？")
    (True, False)
    """
    return bool(_SEVERAL.search(question))


def values_of(text: str | None, candidates: Sequence[Candidate], triples: Sequence[Triple]) -> tuple[str, ...]:
    """All objects of the subject and attribute that the answer `text` rests on, `text` first, the others by triple id.

    () where no candidate is the answer.
    """
    best = next((c.evidence[0] for c in candidates if c.answer == text and c.evidence), None)
    if text is None or best is None:
        return ()
    same = (t.object for t in sorted(triples, key=lambda t: t.id) if fact_of(t) == fact_of(best))
    return tuple(dict.fromkeys([text, *same]))


def gathered(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Give the answers of one subject and attribute their sum as probability each: all are right, or none; best first.

    For questions that ask for several answers. Of a candidate, the best triple counts.
    """
    totals: dict[tuple[int, str], float] = {}
    for c in candidates:
        totals[fact_of(c.evidence[0])] = totals.get(fact_of(c.evidence[0]), 0.0) + c.score
    found = [Candidate(c.answer, min(1.0, totals[fact_of(c.evidence[0])]), c.evidence) for c in candidates]
    return sorted(found, key=lambda c: -c.score)


def total(answer: Answer) -> float:
    """The probability that the fact which an answer rests on is the right one, all its values together."""
    if asks_for_several(answer.question):  # then each has the whole probability already (`gathered`)
        return answer.confidence
    values = min(1.0, sum(c.score for c in answer.candidates if c.answer in answer.values))
    return max(answer.confidence, values)


def fact_of(triple: Triple) -> tuple[int, str]:
    """What a triple says something of: its subject's id and its attribute."""
    return triple.subject_id, attribute_of(triple.predicate)
