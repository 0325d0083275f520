"""The values that leave the index: triples, entities, and matches of names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

__all__ = ["AttributeMatch", "Entity", "EntityMatch", "NameMatch", "Triple"]


class Triple(NamedTuple):
    """One fact; `subject`, `predicate` and `object` are as the file has them (ends trimmed).

    `extra` holds the other columns (source, date, confidence, ...), once for each line that stated the fact with
    different ones; look-ups of many triples leave it empty, `KnowledgeBase.with_extra` fills it.
    """

    id: int
    subject: str
    predicate: str
    object: str
    subject_id: int
    extra: tuple[Mapping[str, str], ...] = ()


class Entity(NamedTuple):
    """A subject of the knowledge base; two entities may share a name but never an id.

    `key` is its identity where that is not its name: the IRI of an RDF resource.
    """

    id: int
    name: str
    key: str | None = None


class EntityMatch(NamedTuple):
    """An entity found by its name's vector; `score` is the cosine similarity."""

    entity: Entity
    score: float


class AttributeMatch(NamedTuple):
    """An attribute found by its name's vector; `score` is the cosine similarity."""

    name: str
    score: float


class NameMatch(NamedTuple):
    """A stretch `text[start:end]` of a text that is an alias of the entities `entity_ids`.

    Those that are named so come first, then those that the value of an attribute such as 别名 calls so, each ascending.
    """

    start: int
    end: int
    entity_ids: tuple[int, ...]
