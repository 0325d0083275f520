"""Questions about two names at once: 刘德华和梁朝伟主演过哪些电影 has what it has for each of the two."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import permutations

from kbqa_agent.frame import MARKS, Span
from kbqa_agent.types import Candidate, Proposal

__all__ = ["shared_by_both"]

_AND = re.compile(rf"[{MARKS}\s]*(?:[和与跟同、及]|and)[{MARKS}\s]*")
_TOGETHER = re.compile(r"共同|一起|一同|都(?!有)|\b(?:both|together|in common)\b")
MAX_PAIRS = 3


def shared_by_both(question: str, names: Sequence[Span], answer: Callable[[str], Proposal | None]) -> Proposal | None:
    """Answer with what the question has for each of two names; None where it names no two, or they share nothing.

    `answer` answers the question about one of the names. The evidence is that of both.
    """
    for first, second in list(_pairs(question, names))[:MAX_PAIRS]:
        before, after = question[: first.start], _TOGETHER.sub("", question[second.end :])
        of_first = answer(before + question[first.start : first.end] + after)
        of_second = answer(before + question[second.start : second.end] + after) if of_first else None
        if of_first and of_second and (shared := _shared(of_first, of_second)):
            return shared
    return None


def _shared(first: Proposal, second: Proposal) -> Proposal | None:
    other = {c.answer: c for c in second.candidates}
    found = tuple(
        Candidate(c.answer, min(c.score, other[c.answer].score), (*c.evidence, *other[c.answer].evidence))
        for c in first.candidates
        if c.answer in other
    )
    return Proposal(found, tuple(c.answer for c in found)) if found else None


def _pairs(question: str, names: Sequence[Span]) -> Iterator[tuple[Span, Span]]:
    """The names with nothing but an `and` between them, which is part of no name."""
    for first, second in permutations(names, 2):
        is_and = first.end < second.start and _AND.fullmatch(question, first.end, second.start)
        if is_and and not any(n.start < first.end and second.start < n.end for n in names):
            yield first, second
