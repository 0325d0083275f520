"""What an index in shards said when it was opened: each look-up asks the shards that may know, and merges.

An entity with all its triples is in one shard, so ids go to the shard that has them. Names, objects and vectors may be
in any. Nothing in here depends on where the shards are; that is `asking.py`'s part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from heapq import nsmallest
from itertools import chain
from operator import attrgetter
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from kb_index.closing import Closing
from kb_index.encoder import Encoder
from kb_index.look_ups import AttributePairs, Called, Listed
from kb_index.manifest import Manifest
from kb_index.own_encoder import OwnEncoder
from kb_index.shards.asking import Asking
from kb_index.shards.layout import open_numbering
from kb_index.shards.shard_view import ShardView
from kb_index.types import Entity, Triple

__all__ = ["ShardedView"]

T = TypeVar("T")


class ShardedView(Closing):
    """The look-ups of `KnowledgeBase` over shards; safe to use from several threads.

    The answers are those of the same triples in one folder: what a shard lists first includes all of it that comes
    first in the whole index.
    """

    def __init__(self, folder: Path, manifest: Manifest, open_shards: Callable[[Path, Manifest], Asking]) -> None:
        self.manifest = manifest
        self._encoder = OwnEncoder(folder, manifest)
        self._numbering = [open_numbering(folder, name) for name in manifest.shards]
        self._shards = open_shards(folder, manifest)
        self._counts: dict[str, int] = {}

    def close(self) -> None:
        """Close the files."""
        self._shards.close()

    @property
    def encoder(self) -> Encoder:
        """The encoder that the vectors of all shards were made with."""
        return self._encoder.opened

    @property
    def missing_shards(self) -> tuple[str, ...]:
        """The shards that say nothing."""
        return self._shards.missing

    def mentions(self, text: str) -> dict[tuple[int, int], Called]:
        """Map each stretch (start, end) of a text that is an alias to its entities."""
        found: dict[tuple[int, int], list[Called]] = {}
        for of_shard in self._of_all(ShardView.mentions, text):
            for at, called in of_shard.items():
                found.setdefault(at, []).append(called)
        return {at: _together(called) for at, called in found.items()}

    def called(self, aliases: Sequence[str]) -> list[Called]:
        """Give the entities of each normalised alias."""
        return list(map(_together, zip(*self._of_all(ShardView.called, aliases), strict=True)))

    def listed(self, prefix: str, limit: int) -> list[Listed]:
        """List the first `limit` pairs of an alias that begins with a normalised prefix and an entity."""
        return nsmallest(limit, chain.from_iterable(self._of_all(ShardView.listed, prefix, limit)))

    def entities(self, ids: Iterable[int]) -> list[Entity]:
        """List the entities with these ids, ascending; an unknown id is left out."""
        return sorted(chain.from_iterable(self._of_owners(ShardView.entities, self._owned(ids))))

    def triples_of(self, ids: Iterable[int]) -> list[Triple]:
        """List all triples about the entities, in ascending order of the entities' ids."""
        found = self._of_owners(ShardView.triples_of, self._owned(ids))
        return found[0] if len(found) == 1 else sorted(chain.from_iterable(found), key=attrgetter("subject_id"))

    def triples_by_id(self, ids: Iterable[int]) -> list[Triple]:
        """List the triples with these ids, ascending; an unknown id is left out."""
        return sorted(chain.from_iterable(self._of_owners(ShardView.triples_by_id, self._owned_triples(ids))))

    def triples_about(self, name: str, limit: int, listed: bool = False) -> list[Triple]:
        """List at most `limit` triples whose object, normalised, is a normalised name, or lists it."""
        found = self._of_all(ShardView.triples_about, name, limit, listed)
        return sorted(chain.from_iterable(found), key=attrgetter("id"))[:limit]

    def extra(self, ids: Sequence[int]) -> dict[int, tuple[Mapping[str, str], ...]]:
        """Map the ids of triples with extra columns to what each of their lines had there."""
        found = self._of_owners(ShardView.extra, self._owned_triples(ids))
        return {i: columns for of_shard in found for i, columns in of_shard.items()}

    def attribute_triples(self, names: Sequence[str]) -> list[int]:
        """Count the triples with each normalised attribute, 0 for an unknown one."""
        # Every question asks for the same few; what is no attribute may be any text of a question, and is not kept.
        new = [name for name in dict.fromkeys(names) if name not in self._counts]
        if new:
            counts = map(sum, zip(*self._of_all(ShardView.attribute_triples, new), strict=True))
            self._counts.update({name: n for name, n in zip(new, counts, strict=True) if n})
        return [self._counts.get(name, 0) for name in names]

    def some_entities(self, most: int) -> list[int]:
        """Draw at most `most` entities, or all, evenly."""
        n = self.manifest.counts.entities
        drawn: list[int] = np.unique(np.linspace(0, n - 1, min(n, most)).astype(np.int64)).tolist()
        return drawn

    def attributes_of(self, ids: Sequence[int]) -> AttributePairs:
        """Pair entities with their normalised attributes, each pair once."""
        numbers: dict[str, int] = {}
        places = {entity_id: place for place, entity_id in enumerate(ids)}
        found = [(np.zeros(0, np.int64), np.zeros(0, np.int64))]
        owned = self._owned(ids)
        for number, pairs in self._shards.ask(ShardView.attributes_of, {n: (of,) for n, of in owned.items()}):
            place = np.array([places[i] for i in owned[number]], np.int64)
            attribute = np.array([numbers.setdefault(name, len(numbers)) for name in pairs.names], np.int64)
            found.append((place[pairs.entities], attribute[pairs.attributes]))
        return AttributePairs(list(numbers), *(np.concatenate(parts) for parts in zip(*found, strict=True)))

    def near_names(self, vectors: NDArray[np.float32], n: int) -> list[dict[str, tuple[int, float]]]:
        """Map for each row of (n_texts, dim) the `n` nearest plain names to their first entity and cosine."""
        hits = [sorted(chain(*of_text)) for of_text in zip(*self._of_all(ShardView.nearest, vectors, n), strict=True)]
        found: list[dict[str, tuple[int, float]]] = [{} for _ in vectors]
        # Several shards may have a name, so some more are looked at than are wanted, and more again where that is few.
        while any(lacking := [(n - len(names)) * bool(of) for names, of in zip(found, hits, strict=True)]):
            looked_at = [of[: few and few + few // 4 + 8] for of, few in zip(hits, lacking, strict=True)]
            name_of = self._plain_names(i for of in looked_at for _, i in of)
            for names, of in zip(found, looked_at, strict=True):
                for cosine, entity_id in of:
                    if len(names) < n and entity_id in name_of:
                        names.setdefault(name_of[entity_id], (entity_id, -cosine))
            hits = [of[len(seen) :] for of, seen in zip(hits, looked_at, strict=True)]
        return found

    def _plain_names(self, ids: Iterable[int]) -> dict[int, str]:
        names = self._of_owners(ShardView.plain_names, self._owned(ids))
        return {i: name for of_shard in names for i, name in of_shard.items()}

    def near_attributes(self, vectors: NDArray[np.float32], n: int) -> list[dict[str, float]]:
        """Map for each row of (n_texts, dim) the `n` nearest normalised attributes to their cosine."""
        found: list[dict[str, float]] = [{} for _ in vectors]
        for of_shard in self._of_all(ShardView.near_attributes, vectors, n):
            for names, more in zip(found, of_shard, strict=True):
                names.update(more)
        return [dict(nsmallest(n, names.items(), key=lambda item: (-item[1], item[0]))) for names in found]

    def _of_all(self, look_up: Callable[..., T], *arguments: object) -> list[T]:
        """What all shards say, each asked the same."""
        return [found for _, found in self._shards.ask(look_up, dict.fromkeys(range(len(self._numbering)), arguments))]

    def _of_owners(self, look_up: Callable[..., T], owned: Mapping[int, Sequence[int]]) -> list[T]:
        """What the shards say, each of the ids that it has."""
        return [found for _, found in self._shards.ask(look_up, {number: (of,) for number, of in owned.items()})]

    def _owned(self, ids: Iterable[int]) -> dict[int, list[int]]:
        """The known ones of some ids of entities, ascending, by the shard that has them."""
        wanted = np.array(sorted({i for i in map(int, ids) if 0 <= i < self.manifest.counts.entities}), np.int64)
        owned = {}
        for number, (entities, _) in enumerate(self._numbering):
            rows = np.minimum(np.searchsorted(entities, wanted), max(0, len(entities) - 1))
            if len(entities) and (of := wanted[entities[rows] == wanted].tolist()):
                owned[number] = of
        return owned

    def _owned_triples(self, ids: Iterable[int]) -> dict[int, list[int]]:
        """The known ones of some ids of triples, ascending, by the shard that has them.

        Those of one entity follow each other, so the shard is the one in which an entity's first triple is nearest.
        """
        wanted = np.array(sorted({i for i in map(int, ids) if 0 <= i < self.manifest.counts.triples}), np.int64)
        nearest = np.full(len(wanted), -1)
        owner = np.zeros(len(wanted), np.int64)
        for number, (_, triples) in enumerate(self._numbering):
            rows = np.searchsorted(triples, wanted, side="right") - 1
            first = np.where(rows >= 0, triples[rows], -1) if len(triples) else np.full(len(wanted), -1)
            owner[first > nearest] = number
            nearest = np.maximum(nearest, first)
        return {int(number): wanted[owner == number].tolist() for number in np.unique(owner)}


def _together(called: Iterable[Called]) -> Called:
    found = list(called)
    if len(found) == 1:
        return found[0]
    return Called(sorted(i for of in found for i in of.named), sorted(i for of in found for i in of.by_value))
