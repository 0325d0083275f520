"""The steps that a planning model takes: find an entity, list its attributes, get its triples, look up in reverse.

Each gives a bounded page; what cannot be looked up is an InputError that says what to look up instead. Nothing of any
framework is in here: the tools of `kbqa_agent.langchain` call these.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Generic, NamedTuple, TypeVar

from kb_index.errors import InputError
from kb_index.knowledge_base import KnowledgeBase
from kb_index.normalize import normalize_attribute, normalize_name
from kb_index.types import Entity, Triple

__all__ = [
    "AttributeCount",
    "FoundEntity",
    "Page",
    "find_entity",
    "get_triples",
    "list_attributes",
    "reverse_lookup",
]

MAX_SAMPLE = 3
"""How many triples of an entity stand beside it, to tell it from others of its name."""
MAX_REVERSE = 1000
"""How many triples with an object are looked at for those with an attribute."""
MAX_NAMED = 20
"""How many attributes an error message lists."""

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """The first rows of a look-up; `more` says whether there are others."""

    rows: tuple[Row, ...]
    more: bool


class FoundEntity(NamedTuple):
    """An entity, whether it has the name that was looked for or one like it, and its first triples."""

    entity: Entity
    exact: bool
    triples: tuple[Triple, ...]


class AttributeCount(NamedTuple):
    """An attribute of an entity, as its first triple has it, and how many triples the entity has with it."""

    attribute: str
    triples: int


def find_entity(kb: KnowledgeBase, name: str, limit: int = 10) -> Page[FoundEntity]:
    """Find the entities that are called so or, where none is, those with the names most like it.

    Raises: InputError when no name is like it at all.
    """
    named = kb.entities_named(name)
    found = named or [match.entity for match in kb.similar_entities([name], limit)[0]]
    if not found:
        raise InputError(f"entity {name!r}: no name in the knowledge base is like it; look up another name")
    page = found[:limit]
    triples = kb.triples_of([entity.id for entity in page])
    first = {i: tuple(islice(group, MAX_SAMPLE)) for i, group in groupby(triples, key=lambda t: t.subject_id)}
    rows = tuple(FoundEntity(entity, bool(named), first.get(entity.id, ())) for entity in page)
    return Page(rows, len(found) > limit)


def list_attributes(kb: KnowledgeBase, entity_id: int, limit: int = 100) -> Page[AttributeCount]:
    """List the attributes of an entity in the order of its triples. Raises: InputError when there is no such entity."""
    counts = _attributes(_triples_of(kb, entity_id))
    return Page(tuple(counts[:limit]), len(counts) > limit)


def get_triples(kb: KnowledgeBase, entity_id: int, attribute: str | None = None, limit: int = 20) -> Page[Triple]:
    """Get the triples of an entity, with an attribute or all; where none has it, those whose attribute contains it.

    Raises: InputError when there is no such entity, or it has no such attribute.
    """
    triples = _triples_of(kb, entity_id)
    found = _with_attribute(triples, attribute)
    if not found:
        raise _no_attribute(f"entity {entity_id}", attribute, triples)
    return _page(kb, found, limit)


def reverse_lookup(kb: KnowledgeBase, value: str, attribute: str | None = None, limit: int = 20) -> Page[Triple]:
    """Get the triples that have a value as object, or in a list that is their object, with an attribute or all.

    Raises: InputError when no triple has that object, or none with that attribute.
    """
    triples = kb.triples_about(value, MAX_REVERSE, listed=True) if normalize_name(value) else []
    if not triples:
        raise InputError(f"value {value!r}: is the object of no triple; find the entity of that name, or another value")
    found = _with_attribute(triples, attribute)
    if not found:
        raise _no_attribute(f"value {value!r}", attribute, triples)
    return _page(kb, found, limit)


def _triples_of(kb: KnowledgeBase, entity_id: int) -> list[Triple]:
    triples = kb.triples_of([entity_id])
    if not triples:
        raise InputError(f"entity {entity_id}: is not in the knowledge base; find the entity first, and copy its id")
    return triples


def _with_attribute(triples: Sequence[Triple], attribute: str | None) -> list[Triple]:
    asked = normalize_attribute(attribute or "")
    if not asked:
        return list(triples)
    named = [(normalize_attribute(t.predicate), t) for t in triples]
    return [t for name, t in named if name == asked] or [t for name, t in named if asked in name]


def _attributes(triples: Iterable[Triple]) -> list[AttributeCount]:
    written: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for triple in triples:
        attribute = normalize_attribute(triple.predicate)
        counts[written.setdefault(attribute, triple.predicate)] += 1
    return [AttributeCount(*pair) for pair in counts.items()]


def _no_attribute(what: str, attribute: str | None, triples: Sequence[Triple]) -> InputError:
    there = _attributes(triples)
    listed = ", ".join(repr(count.attribute) for count in there[:MAX_NAMED])
    rest = f", … ({len(there)} in all)" if len(there) > MAX_NAMED else ""
    return InputError(f"{what}: has no attribute {attribute!r}; take one of {listed}{rest}")


def _page(kb: KnowledgeBase, triples: Sequence[Triple], limit: int) -> Page[Triple]:
    return Page(tuple(kb.with_extra(triples[:limit])), len(triples) > limit)
