"""The seam behind `KnowledgeBase`: what an open index can be asked, whether it is one folder or many shards.

Everything is asked for many ids or texts at once and told by ids of the whole index, in a form that can be merged with
what another part of the same index says. What callers see of it is made in `knowledge_base.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from kb_index.encoder import Encoder
from kb_index.manifest import Manifest
from kb_index.types import Entity, NameMatch, Triple

__all__ = ["AttributePairs", "Called", "Listed", "LookUps", "Parts", "entities_listed", "matches"]


class Called(NamedTuple):
    """The entities of an alias, ascending: those that are named so, and those that the value of an attribute calls so.

    One that is both is in both.
    """

    named: list[int]
    by_value: list[int]

    def ids(self) -> tuple[int, ...]:
        """List each of them once, in the order of `NameMatch.entity_ids`."""
        return tuple(dict.fromkeys((*self.named, *self.by_value)))


class Listed(NamedTuple):
    """An alias with a prefix, and an entity of it; sorted, the prefix itself comes first, then the order of tries."""

    key: bytes
    by_value: bool
    entity_id: int
    alias: str


class AttributePairs(NamedTuple):
    """Entities by place among those asked for, and their attributes by place in `names`, (n_pairs,) each."""

    names: list[str]
    entities: NDArray[np.int64]
    attributes: NDArray[np.int64]


class Parts(Protocol):
    """What can be asked of a whole index and of each of its shards alike; unknown ids and names are left out."""

    def mentions(self, text: str) -> Mapping[tuple[int, int], Called]:
        """Map each stretch (start, end) of a text that is an alias to its entities."""

    def called(self, aliases: Sequence[str]) -> list[Called]:
        """Give the entities of each normalised alias."""

    def listed(self, prefix: str, limit: int) -> list[Listed]:
        """List the first `limit` aliases, and entities of them, that begin with a normalised prefix."""

    def entities(self, ids: Iterable[int]) -> list[Entity]:
        """List the entities with these ids, ascending."""

    def triples_of(self, ids: Iterable[int]) -> list[Triple]:
        """List all triples about the entities, in ascending order of the entities' ids."""

    def triples_by_id(self, ids: Iterable[int]) -> list[Triple]:
        """List the triples with these ids, ascending."""

    def triples_about(self, name: str, limit: int, listed: bool = False) -> list[Triple]:
        """List at most `limit` triples whose object, normalised, is a normalised name, or lists it."""

    def extra(self, ids: Sequence[int]) -> dict[int, tuple[Mapping[str, str], ...]]:
        """Map the ids of triples with extra columns to what each of their lines had there."""

    def attribute_triples(self, names: Sequence[str]) -> list[int]:
        """Count the triples with each normalised attribute."""

    def attributes_of(self, ids: Sequence[int]) -> AttributePairs:
        """Pair entities with their normalised attributes, each pair once."""

    def near_attributes(self, vectors: NDArray[np.float32], n: int) -> list[dict[str, float]]:
        """Map for each row of (n_texts, dim) about `n` of the nearest normalised attributes to their cosine."""


class LookUps(Parts, Protocol):
    """An open index; safe to use from several threads."""

    manifest: Manifest

    @property
    def encoder(self) -> Encoder:
        """The encoder that the vectors were made with."""

    @property
    def missing_shards(self) -> Sequence[str]:
        """The shards that say nothing, since they could not be opened or have been lost."""

    def near_names(self, vectors: NDArray[np.float32], n: int) -> list[dict[str, tuple[int, float]]]:
        """Map for each row of (n_texts, dim) about `n` of the nearest plain names to their first entity and cosine."""

    def some_entities(self, most: int) -> list[int]:
        """Draw about `most` entities, or all, evenly from the whole index."""

    def close(self) -> None:
        """Close the files."""


def matches(found: Mapping[tuple[int, int], Called]) -> list[NameMatch]:
    """Tell mentions by start and then by end."""
    return [NameMatch(start, end, called.ids()) for (start, end), called in sorted(found.items())]


def entities_listed(listed: Iterable[Listed], limit: int) -> list[int]:
    """Give the first `limit` distinct entities, by their first alias, and those that share it by id."""
    pairs = sorted((entry.alias, entry.entity_id) for entry in listed)
    return list(islice(dict.fromkeys(entity_id for _, entity_id in pairs), limit))
