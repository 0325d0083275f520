"""The values that leave the index: triples, entities, and matches of names."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["AttributeMatch", "Entity", "EntityMatch", "NameMatch", "Triple"]


class Triple(NamedTuple):
    """One fact; `subject`, `predicate` and `object` are as the file has them (ends trimmed)."""

    id: int
    subject: str
    predicate: str
    object: str
    subject_id: int


class Entity(NamedTuple):
    """A subject of the knowledge base; two entities may share an alias but never an id."""

    id: int
    name: str


class EntityMatch(NamedTuple):
    """An entity found by its name's vector; `score` is the cosine similarity."""

    entity: Entity
    score: float


class AttributeMatch(NamedTuple):
    """An attribute found by its name's vector; `score` is the cosine similarity."""

    name: str
    score: float


class NameMatch(NamedTuple):
    """A stretch `text[start:end]` of a text that is an alias of the entities `entity_ids` (ascending)."""

    start: int
    end: int
    entity_ids: tuple[int, ...]
