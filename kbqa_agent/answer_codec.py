"""Candidates and mentions as plain values that `json.dumps` takes, whole, and back: what files keep of an answer.

`answer_forms` has the form for people and other programs, which cannot be read back.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kb_index.types import Entity, Triple
from kbqa_agent.types import Candidate, EntityMention

__all__ = ["candidates_from_rows", "candidates_to_rows", "mentions_from_rows", "mentions_to_rows", "text_of"]


def candidates_to_rows(candidates: Iterable[Candidate]) -> list[list[Any]]:
    """Give a row `[answer, score, evidence]` for each candidate; a triple's other columns come last in its own row."""
    return [[c.answer, float(c.score), [[*t[:5], [dict(e) for e in t.extra]] for t in c.evidence]] for c in candidates]


def candidates_from_rows(rows: Iterable[Any]) -> tuple[Candidate, ...]:
    """Read what `candidates_to_rows` gave, or rows whose triples have no other columns.

    Raises: TypeError, ValueError for anything else.
    """
    return tuple(
        Candidate(text_of(answer), float(score), tuple(map(_triple, evidence))) for answer, score, evidence in rows
    )


def mentions_to_rows(mentions: Iterable[EntityMention]) -> list[list[Any]]:
    """Give a row `[text, start, end, entities]` for each mention."""
    return [[m.text, m.start, m.end, [list(e) for e in m.entities]] for m in mentions]


def mentions_from_rows(rows: Iterable[Any]) -> tuple[EntityMention, ...]:
    """Read what `mentions_to_rows` gave. Raises: TypeError, ValueError for anything else."""
    return tuple(
        EntityMention(text_of(text), int(start), int(end), tuple(_entity(*entity) for entity in entities))
        for text, start, end, entities in rows
    )


def text_of(value: Any) -> str:
    """The value if it is text. Raises: TypeError."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _entity(number: Any, name: Any, key: Any = None) -> Entity:
    return Entity(int(number), text_of(name), None if key is None else text_of(key))


def _triple(row: Any) -> Triple:
    number, subject, predicate, object_, subject_id, *extra = row
    columns = tuple(dict(c) for columns in extra for c in columns)
    return Triple(int(number), text_of(subject), text_of(predicate), text_of(object_), int(subject_id), columns)
