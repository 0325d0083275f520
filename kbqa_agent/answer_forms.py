"""An answer as one JSON object, the form that evaluation rows extend, and as the lines that people read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from kb_index.types import Triple
from kbqa_agent.evidence_paths import path_to
from kbqa_agent.legible import legible
from kbqa_agent.silence import Choice, choices_of
from kbqa_agent.types import Abstention, Answer, Candidate, EntityMention

if TYPE_CHECKING:
    from kbqa_agent.explaining import Explanation

__all__ = [
    "answer_to_json",
    "answer_to_text",
    "candidate_to_json",
    "candidate_to_line",
    "explanation_to_json",
    "mention_to_json",
]

SHOWN_CANDIDATES = 3
WORTH_SHOWING = 0.005
"""A candidate after the first that is less probable is not shown to people."""
SHOWN_CHARS = 100
SHOWN_VALUES = 20
CORRECTED = "a correction that people gave, backed by no triple"
PARTIAL = "[partial: shards of the index are missing]"
REASONS: dict[Abstention, str] = {
    "no_entity": "nothing in the question is an entity of the knowledge base",
    "no_attribute": "the knowledge base does not say",
    "ambiguous": "several entities of that name fit",
    "low_confidence": "nothing is likely enough to be said",
}


def answer_to_json(answer: Answer) -> dict[str, Any]:
    """Turn an answer into plain values that `json.dumps` takes.

    Keys: question, answer (None when it abstains), values (all that are meant, the answer first), confidence,
    abstained (None or the reason), supported (False when the text is the generator's own and no candidate), mentions,
    candidates (best first) and timings_ms. A mention's `entity` is the name of the entity that the best candidate rests
    on, where it is among the mention's, and of the first one otherwise. Mentions have a `key` (an IRI), and evidence
    has its subject's, `subject_key`, and `extra` columns, where the sources had. An ambiguous question has `choices`,
    the entities that it may mean. `partial` is there, and true, where shards of the index were missing.
    """
    best = answer.told or next(iter(answer.candidates), None)
    meant = {triple.subject_id for triple in best.evidence} if best else set()
    choices = choices_of(answer)
    keys = {entity.id: entity.key for mention in answer.mentions for entity in mention.entities if entity.key}
    found = {
        "question": answer.question,
        "answer": answer.text,
        "values": list(answer.values),
        "confidence": _significant(answer.confidence),
        "abstained": answer.abstained,
        "supported": answer.supported,
        "mentions": [mention_to_json(mention, meant) for mention in answer.mentions],
        "candidates": [candidate_to_json(candidate, keys) for candidate in answer.candidates],
        "timings_ms": {stage: round(float(value), 3) for stage, value in answer.timings.items()},
    }
    found |= {"partial": True} if answer.partial else {}
    return found | {"choices": [_choice(choice) for choice in choices]} if choices else found


def explanation_to_json(explanation: Explanation) -> dict[str, Any]:
    """Turn an explanation into plain values that `json.dumps` takes; its evidence is that of the answer.

    Keys: sentence, decided_by ("ranker", "generator", "kind", "feedback" or None) and reasons (text, weight, features).
    """
    reasons = [{**asdict(reason), "weight": round(reason.weight, 4)} for reason in explanation.reasons]
    return {"sentence": explanation.sentence, "decided_by": explanation.decided_by, "reasons": reasons}


def _choice(choice: Choice) -> dict[str, Any]:
    return {"entity": choice.triple.subject, "entity_id": choice.triple.subject_id, "answer": choice.answer}


def mention_to_json(mention: EntityMention, meant: set[int]) -> dict[str, Any]:
    """Turn a mention into plain values; of its entities the first whose id is in `meant` is told, or else the first."""
    entity = next((e for e in mention.entities if e.id in meant), next(iter(mention.entities), None))
    found = {
        "text": mention.text,
        "start": mention.start,
        "end": mention.end,
        "entity": entity.name if entity else None,
    }
    return found | {"key": entity.key} if entity and entity.key else found


def candidate_to_json(candidate: Candidate, keys: Mapping[int, str] = MappingProxyType({})) -> dict[str, Any]:
    """Turn a candidate, with its evidence, into plain values; `keys` are those of entities that have one, by id."""
    evidence = [_triple(triple, keys.get(triple.subject_id)) for triple in candidate.evidence]
    return {"answer": candidate.answer, "score": _significant(candidate.score), "evidence": evidence}


def _significant(probability: float) -> float:
    """Keep six digits that mean something: of two improbable candidates the likelier one still comes first."""
    return float(f"{probability:.6g}")


def _triple(triple: Triple, subject_key: str | None) -> dict[str, Any]:
    found: dict[str, Any] = {
        "id": triple.id,
        "subject": triple.subject,
        "subject_id": triple.subject_id,
        "predicate": triple.predicate,
        "object": triple.object,
    }
    if subject_key:
        found["subject_key"] = subject_key
    if triple.extra:
        found["extra"] = [dict(columns) for columns in triple.extra]
    return found


def answer_to_text(answer: Answer) -> str:
    """Tell an answer in lines: the answer or why there is none, then the best candidates with the triples that say so.

    Marks that turn the direction of writing are left out.
    """
    first, others = answer.candidates[:1], answer.candidates[1:SHOWN_CANDIDATES]
    shown = [*first, *(c for c in others if c.score >= WORTH_SHOWING)]
    headline = _headline(answer) + (f"  {PARTIAL}" if answer.partial else "")
    return legible("\n".join([headline, *map(candidate_to_line, shown)]))


def _headline(answer: Answer) -> str:
    if answer.abstained is not None:
        return f"(no answer: {REASONS[answer.abstained]}){_which_one(choices_of(answer))}"
    note = f"({answer.confidence:.0%})" if answer.supported else _unsupported(answer)
    return f"{'; '.join(answer.values[:SHOWN_VALUES]) or answer.text}{_unshown(answer)}  {note}"


def _unsupported(answer: Answer) -> str:
    if any(candidate.answer == answer.text for candidate in answer.candidates):
        return f"({answer.confidence:.0%}; {CORRECTED})"
    return "(the generator's own words, backed by no triple)"


def _which_one(choices: Sequence[Choice]) -> str:
    """Ask back for one of several entities, with what the question asks of them where they share a name."""
    names = [choice.triple.subject for choice in choices]
    told = (
        name if names.count(name) == 1 else f"{name} ({choice.triple.predicate}: {_shown(choice.triple.object)})"
        for name, choice in zip(names, choices, strict=True)
    )
    listed = "".join(f" {number}. {text}" for number, text in enumerate(told, 1))
    return f" Which one?{listed}" if listed else ""


def _unshown(answer: Answer) -> str:
    return f"; … ({len(answer.values)} in all)" if len(answer.values) > SHOWN_VALUES else ""


def candidate_to_line(candidate: Candidate) -> str:
    """Tell a candidate in a line: its probability, and its first triple, or all of the path of a chain."""
    if not candidate.evidence:
        return f"  {candidate.score:5.1%}  {_shown(candidate.answer)}  ({CORRECTED})"
    return f"  {candidate.score:5.1%}  " + " -> ".join(map(_fact, path_to(candidate)))


def _fact(triple: Triple) -> str:
    extra = "; ".join(f"{column}: {text}" for column, text in triple.extra[0].items()) if triple.extra else ""
    return f"{triple.subject} | {triple.predicate} | {_shown(triple.object)}" + (
        f"  ({_shown(extra)})" if extra else ""
    )


def _shown(text: str) -> str:
    return text if len(text) <= SHOWN_CHARS else text[:SHOWN_CHARS] + "…"
