"""Ranked triples -> candidates, and candidates -> an answer or the reason why there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from kb_index.normalize import normalize_name
from kb_index.types import Triple
from kbqa_agent.presence import Presence
from kbqa_agent.prompts import UNKNOWN, answer_text
from kbqa_agent.silence import reason_for_silence
from kbqa_agent.types import Answer, Candidate, EntityMention

__all__ = ["MAX_EVIDENCE", "best_triples", "candidates_of", "decide", "mentions_of", "written"]

MAX_EVIDENCE = 5
"""The most triples that a candidate rests on."""


def candidates_of(triples: Sequence[Triple], probabilities: NDArray[np.float32], limit: int) -> list[Candidate]:
    """One candidate for each distinct object; its score is the sum over the triples that say so."""
    evidence: dict[str, list[int]] = {}
    for i in np.argsort(-probabilities, kind="stable").tolist():
        evidence.setdefault(triples[i].object, []).append(i)
    alone = probabilities.tolist()
    scores = {a: alone[at[0]] if len(at) == 1 else float(probabilities[at].sum()) for a, at in evidence.items()}
    best = sorted(evidence, key=lambda answer: -scores[answer])[:limit]
    return [Candidate(a, scores[a], tuple([triples[i] for i in evidence[a][:MAX_EVIDENCE]])) for a in best]


def best_triples(triples: Sequence[Triple], probabilities: NDArray[np.float32], n: int) -> list[Triple]:
    """The `n` likeliest triples, those of one subject together, in the order of the subjects' best triples."""
    best = [triples[i] for i in np.argsort(-probabilities, kind="stable")[:n]]
    order = {s: i for i, s in enumerate(dict.fromkeys(t.subject_id for t in best))}
    return sorted(best, key=lambda t: order[t.subject_id])


def mentions_of(mentions: Sequence[EntityMention], candidates: Sequence[Candidate]) -> tuple[EntityMention, ...]:
    """The mentions whose entities the candidates rest on, with those entities only."""
    used = {t.subject_id for c in candidates for t in c.evidence}
    kept = (EntityMention(m.text, m.start, m.end, tuple(e for e in m.entities if e.id in used)) for m in mentions)
    return tuple(m for m in kept if m.entities)


def decide(
    question: str,
    candidates: Sequence[Candidate],
    mentions: tuple[EntityMention, ...],
    min_confidence: float,
    timings: Mapping[str, float],
    presence: Presence | None = None,
) -> Answer:
    """Answer with the first candidate, or say why not, for which `presence` counts."""
    confidence = min(1.0, candidates[0].score) if candidates else 0.0
    if candidates and confidence >= min_confidence:
        best, found = candidates[0], tuple(candidates)
        return Answer(question, best.answer, confidence, None, found, mentions, timings, supported=bool(best.evidence))
    reason = reason_for_silence(candidates, mentions, presence)
    return Answer(question, None, confidence, reason, tuple(candidates), mentions, timings)


def written(
    question: str,
    candidates: Sequence[Candidate],
    mentions: tuple[EntityMention, ...],
    text: str,
    min_confidence: float,
    timings: Mapping[str, float],
) -> Answer:
    """Answer with the generator's own text: backed by the candidate it equals, marked where none is likely enough."""
    found = tuple(candidates)
    if text in ("", UNKNOWN):
        return Answer(question, None, 0.0, "no_attribute", found, mentions, timings)
    same = (c for c in candidates if normalize_name(answer_text(c.answer)) == normalize_name(text))
    backing = next(same, None)
    if backing is None or backing.score < min_confidence:
        return Answer(question, text, 0.0, None, found, mentions, timings, supported=False)
    return Answer(question, backing.answer, min(1.0, backing.score), None, found, mentions, timings)
