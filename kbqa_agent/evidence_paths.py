"""The way from fact to fact that a candidate's evidence takes to it, as people are shown it."""

from __future__ import annotations

from collections.abc import Sequence

from kb_index.normalize import normalize_name, plain_name
from kb_index.types import Triple
from kbqa_agent.types import Candidate

__all__ = ["path_to"]


def path_to(candidate: Candidate) -> tuple[Triple, ...]:
    """The triples of a chain that lead to a candidate, in their order; the first triple alone where there is no chain.

    Triples that merely agree, such as those of homonyms, are no chain. Nor is what a count or a comparison rests on.

    >>> facts = Triple(0, "姚明", "妻子", "叶莉", 0), Triple(1, "叶莉", "身高", "1.90米", 1)
    >>> [triple.id for triple in path_to(Candidate("1.90米", 0.9, facts))]
    [0, 1]
    """
    first, others = candidate.evidence[:1], candidate.evidence[1:]
    for start in (t for triple in first for t in (triple.object, triple.subject)):
        if found := _walk(candidate, start, others):
            return found
    return first


def _walk(candidate: Candidate, at: str, others: Sequence[Triple]) -> tuple[Triple, ...]:
    """Go from `at`, an end of the first triple, along the others, or against them, until the answer is reached."""
    path = list(candidate.evidence[:1])
    seen = {path[0].subject, path[0].object}
    for triple in others:
        if at == candidate.answer:
            break
        if _is_within(triple.subject, at):
            at = triple.object
        elif _is_within(at, triple.object) and triple.subject not in seen:
            at = triple.subject
        else:
            return ()
        path.append(triple)
        seen.add(at)
    return tuple(path) if at == candidate.answer else ()


def _is_within(name: str, text: str) -> bool:
    """Whether a text is a name, or has it among others; what tells homonyms apart, as in 李明(画家), does not count."""
    return plain_name(name) in normalize_name(text)
