"""Candidates and mentions as plain values that `json.dumps` takes, whole, and back: what files keep of an answer.

`answer_forms` has the form for people and other programs, which cannot be read back.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kb_index.types import Entity, Triple
from kbqa_agent.types import Candidate, EntityMention

__all__ = ["candidates_from_rows", "candidates_to_rows", "mentions_from_rows", "mentions_to_rows"]


def candidates_to_rows(candidates: Iterable[Candidate]) -> list[list[Any]]:
    """Give a row `[answer, score, evidence]` for each candidate; a triple's other columns come last in its own row."""
    return [[c.answer, float(c.score), [[*t[:5], [dict(e) for e in t.extra]] for t in c.evidence]] for c in candidates]


def candidates_from_rows(rows: Iterable[Any]) -> tuple[Candidate, ...]:
    """Read what `candidates_to_rows` gave, or rows whose triples have no other columns.

    Raises: TypeError, ValueError for anything else.
    """
    return tuple(
        Candidate(str(answer), float(score), tuple(map(_triple, evidence))) for answer, score, evidence in rows
    )


def mentions_to_rows(mentions: Iterable[EntityMention]) -> list[list[Any]]:
    """Give a row `[text, start, end, entities]` for each mention."""
    return [[m.text, m.start, m.end, [list(e) for e in m.entities]] for m in mentions]


def mentions_from_rows(rows: Iterable[Any]) -> tuple[EntityMention, ...]:
    """Read what `mentions_to_rows` gave. Raises: TypeError, ValueError for anything else."""
    return tuple(
        EntityMention(str(text), int(start), int(end), tuple(Entity(*entity) for entity in entities))
        for text, start, end, entities in rows
    )


def _triple(row: Any) -> Triple:
    number, subject, predicate, object_, subject_id, *extra = row
    return Triple(number, subject, predicate, object_, subject_id, tuple(dict(c) for columns in extra for c in columns))
