"""A piece of feedback as it is kept: what a person thinks, of what was shown, and what can be learnt from it.

Candidates and mentions are kept as `answer_codec` has them; `record_to_json` is the form for people and programs, with
the keys of `ask --json`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from kb_index.manifest import Manifest
from kbqa_agent.answer_forms import candidate_to_json, mention_to_json
from kbqa_agent.types import Answer, Candidate, EntityMention, Feedback, Generator, Rating

__all__ = [
    "FeedbackRecord",
    "IndexIdentity",
    "Judgement",
    "Shown",
    "System",
    "Undone",
    "record_to_json",
    "shown_of",
    "system_from_json",
]


@dataclass(frozen=True, slots=True)
class IndexIdentity:
    """Which index was asked, by its manifest: when it was built, the sha256 of its sources, its updates since."""

    created: str
    sources: tuple[str, ...]
    updates: int
    triples: int

    @classmethod
    def of(cls, manifest: Manifest) -> IndexIdentity:
        """Take it from a manifest."""
        sources = tuple(source.sha256 for source in manifest.sources)
        return cls(manifest.created, sources, len(manifest.updates), manifest.counts.triples)


@dataclass(frozen=True, slots=True)
class System:
    """What answered: the generator's name ("none" without one), its adapter, and the index."""

    model: str
    adapter: str | None
    index: IndexIdentity | None


@dataclass(frozen=True, slots=True)
class Shown:
    """What a person was shown when judging.

    `values` are those that were told together, `prompt` is what a generator is asked for this question, and `supported`
    is False where the answer was no candidate.
    """

    candidates: tuple[Candidate, ...]
    mentions: tuple[EntityMention, ...]
    values: tuple[str, ...]
    prompt: str
    system: System
    supported: bool = True


def shown_of(answer: Answer, prompt: str, generator: Generator | None, manifest: Manifest) -> Shown:
    """What a person sees of an answer; `prompt` is what a generator is asked for the question."""
    adapter = getattr(generator, "adapter", None)
    model = generator.name if generator else "none"
    system = System(model, str(adapter) if adapter else None, IndexIdentity.of(manifest))
    return Shown(answer.candidates, answer.mentions, answer.values, prompt, system, answer.supported)


@dataclass(frozen=True, slots=True)
class Undone:
    """Who took a piece of feedback back, and when (ISO 8601, UTC)."""

    user: str
    created: str


@dataclass(frozen=True, slots=True)
class FeedbackRecord:
    """One piece of feedback: its number, when (ISO 8601, UTC) and by whom it was given, and whether it still counts."""

    id: int
    created: str
    user: str
    feedback: Feedback
    shown: Shown
    undone: Undone | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """What counts of a piece of feedback for later answers.

    `values` were told together. `wording` is the question without the entity's name, `attribute` the one that the
    judged answer rests on and `corrected_attribute` that of the correction; each is None where there is none.
    """

    id: int
    user: str
    question: str
    rating: Rating
    values: tuple[str, ...]
    correction: str | None
    wording: str | None = None
    attribute: str | None = None
    corrected_attribute: str | None = None

    @classmethod
    def of(cls, record: FeedbackRecord) -> Judgement:
        """Take it from a record, without what concerns other questions."""
        given, values = record.feedback, record.shown.values
        return cls(record.id, record.user, given.question, given.rating, values, given.correction)


def record_to_json(record: FeedbackRecord) -> dict[str, Any]:
    """Turn a record into plain values; `candidates` and `mentions` are as in `ask --json`, `undone` is None or who."""
    given, shown = record.feedback, record.shown
    return {
        "id": record.id,
        "created": record.created,
        "user": record.user,
        "question": given.question,
        "answer": given.answer,
        "rating": given.rating,
        "correction": given.correction,
        "comment": given.comment,
        "undone": asdict(record.undone) if record.undone else None,
        "values": list(shown.values),
        "supported": shown.supported,
        "candidates": [candidate_to_json(candidate) for candidate in shown.candidates],
        "mentions": [mention_to_json(mention, set()) for mention in shown.mentions],
        "prompt": shown.prompt,
        "system": asdict(shown.system),
    }


def system_from_json(text: str) -> System:
    """Read what a `System` is as JSON text, with `asdict`."""
    row: Mapping[str, Any] = json.loads(text)
    index = row["index"]
    identity = IndexIdentity(**{**index, "sources": tuple(index["sources"])}) if index else None
    return System(row["model"], row["adapter"], identity)
