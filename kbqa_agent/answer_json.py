"""An answer as one JSON object, the form that `ask --json` prints and that an evaluation's rows extend."""

from __future__ import annotations

from typing import Any

from kb_index.types import Triple
from kbqa_agent.types import Answer, Candidate, EntityMention

__all__ = ["answer_to_json"]


def answer_to_json(answer: Answer) -> dict[str, Any]:
    """Turn an answer into plain values that `json.dumps` takes.

    Keys: question, answer (None when it abstains), confidence, abstained (None or the reason), mentions, candidates
    (best first) and timings_ms. A mention's `entity` is the name of the entity that the best candidate rests on, where
    it is among the mention's, and of the first one otherwise.
    """
    meant = {triple.subject_id for candidate in answer.candidates[:1] for triple in candidate.evidence}
    return {
        "question": answer.question,
        "answer": answer.text,
        "confidence": round(float(answer.confidence), 6),
        "abstained": answer.abstained,
        "mentions": [_mention(mention, meant) for mention in answer.mentions],
        "candidates": [_candidate(candidate) for candidate in answer.candidates],
        "timings_ms": {stage: round(float(value), 3) for stage, value in answer.timings.items()},
    }


def _mention(mention: EntityMention, meant: set[int]) -> dict[str, Any]:
    entity = next((e for e in mention.entities if e.id in meant), next(iter(mention.entities), None))
    name = entity.name if entity else None
    return {"text": mention.text, "start": mention.start, "end": mention.end, "entity": name}


def _candidate(candidate: Candidate) -> dict[str, Any]:
    evidence = [_triple(triple) for triple in candidate.evidence]
    return {"answer": candidate.answer, "score": round(float(candidate.score), 6), "evidence": evidence}


def _triple(triple: Triple) -> dict[str, Any]:
    return {"id": triple.id, "subject": triple.subject, "predicate": triple.predicate, "object": triple.object}
