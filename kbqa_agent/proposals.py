"""The forms of an answer to a question of another kind than one attribute of one entity."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kb_index.types import Triple
from kbqa_agent.types import Candidate, Proposal

__all__ = ["SURE", "listed", "subject_meant", "told"]

SURE = 0.9
"""The confidence where wording and triples both fit: the triples may not be all, or the wording may mean otherwise."""


def subject_meant(found: Sequence[Triple], ranked: Iterable[Candidate]) -> int:
    """The subject, of those that the triples have, that comes first among the ranked candidates, whatever they say."""
    subjects = {t.subject_id for t in found}
    in_order = (t.subject_id for c in ranked for t in c.evidence if t.subject_id in subjects)
    return next(in_order, found[0].subject_id)


def told(text: str, evidence: Sequence[Triple], score: float = SURE) -> Proposal:
    """One answer that the triples lead to together: a number, a yes or no."""
    return Proposal((Candidate(text, score, tuple(evidence)),), (text,))


def listed(found: Iterable[tuple[str, Triple]], score: float = SURE) -> Proposal:
    """All answers, in the order in which they are found, each with the triples that say so."""
    evidence: dict[str, list[Triple]] = {}
    for text, triple in found:
        evidence.setdefault(text, []).append(triple)
    return Proposal(tuple(Candidate(text, score, tuple(t)) for text, t in evidence.items()), tuple(evidence))
