"""What an index said when it was opened: its first layer, and the later one that an update left, seen as one.

The later layer holds the entities that were added or changed since the first was built, each with all its triples, and
the ids of those that are gone. It speaks for these entities alone, and the first layer for all others, so nothing has
to be taken out of the first layer's files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from operator import attrgetter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kb_index.closing import Closing
from kb_index.columns import open_numbers
from kb_index.encoder import Encoder
from kb_index.layer import Layer
from kb_index.look_ups import AttributePairs, Called, Listed
from kb_index.manifest import Manifest
from kb_index.names import NameTrie
from kb_index.normalize import LIST_MARKS, normalize_name, plain_name
from kb_index.opening import open_steadily
from kb_index.own_encoder import OwnEncoder
from kb_index.types import Entity, Triple

__all__ = ["DELTA", "View", "open_view"]

DELTA = "delta"
"""The folder of the later layer; its files `ids.npy` and `gone.npy` hold the ids of its rows and those of no triple."""


class View(Closing):
    """The look-ups of `KnowledgeBase` by id, over one or two layers; safe to use from several threads."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.manifest = manifest
        self.first = Layer(folder)
        try:
            self.later = Layer(folder / DELTA) if (folder / DELTA).is_dir() else None
        except Exception:
            self.first.close()
            raise
        self.later_ids, gone = _later_ids(folder / DELTA) if self.later else ([], [])
        self.replaced = frozenset((*self.later_ids, *gone))
        self._rows = {entity_id: row for row, entity_id in enumerate(self.later_ids)}
        self.names = NameTrie(self.first.names, self.later and self.later.names, self.replaced)
        self.folder = folder
        self._own_encoder = OwnEncoder(folder, manifest)

    def close(self) -> None:
        """Close the files."""
        for layer in self.layers:
            layer.close()

    @property
    def layers(self) -> Sequence[Layer]:
        """The layers, the first one first."""
        return (self.first, self.later) if self.later else (self.first,)

    @property
    def encoder(self) -> Encoder:
        """The encoder that the vectors were made with; `KnowledgeBase.encoder` lists what can go wrong."""
        return self._own_encoder.opened

    @property
    def missing_shards(self) -> Sequence[str]:
        """None: it has no shards."""
        return ()

    def mentions(self, text: str) -> dict[tuple[int, int], Called]:
        """Map each stretch (start, end) of a text that is an alias to its entities."""
        return self.names.mentions(text)

    def called(self, aliases: Sequence[str]) -> list[Called]:
        """Give the entities of each normalised alias."""
        return list(map(self.names.called, aliases))

    def listed(self, prefix: str, limit: int) -> list[Listed]:
        """List the first `limit` pairs of an alias that begins with a normalised prefix and an entity."""
        return self.names.listed(prefix, limit)

    def entities(self, ids: Iterable[int]) -> list[Entity]:
        """List the entities with these ids, ascending; an unknown id is left out."""
        return sorted(e for layer, rows, of_layer in self._located(ids) for e in layer.facts.entities(rows, of_layer))

    def triples_of(self, ids: Iterable[int]) -> list[Triple]:
        """List all triples about the entities, in ascending order of the entities' ids."""
        located = self._located(ids)
        found = [layer.facts.triples(rows, of_layer, self.offset(layer)) for layer, rows, of_layer in located]
        return found[0] if len(found) == 1 else sorted(chain.from_iterable(found), key=attrgetter("subject_id"))

    def triples_by_id(self, ids: Iterable[int]) -> list[Triple]:
        """List the triples with these ids, ascending; an unknown id is left out."""
        wanted: dict[int, set[int]] = {}
        for i in {int(i) for i in ids}:
            if layer := self._layer_of_triple(i):
                row = layer.facts.row_of_triple(i - self.offset(layer))
                wanted.setdefault(row if layer is self.first else self.later_ids[row], set()).add(i)
        return sorted(t for t in self.triples_of(wanted) if t.id in wanted[t.subject_id])

    def triples_about(self, name: str, limit: int, listed: bool = False) -> list[Triple]:
        """List at most `limit` triples whose object, normalised, is a normalised name, or lists it."""
        found: list[Triple] = []
        for layer in self.layers:
            rows = layer.facts.about(name)
            # Most hits are what they seem; replaced entities and other names with this hash are passed over.
            for start in range(0, len(rows), max(limit, 1)):
                chunk = rows[start : start + limit]
                triples = self.triples_by_id(int(row) + self.offset(layer) for row in chunk)
                found += [t for t in triples if name == normalize_name(t.object) or (listed and _lists(t.object, name))]
                if len(found) >= limit:
                    return found[:limit]
        return found

    def attribute_triples(self, names: Sequence[str]) -> list[int]:
        """Count the triples with each normalised attribute, 0 for an unknown one."""
        counts = ((layer.attributes.triples(name) for layer in reversed(self.layers)) for name in names)
        return [next((n for n in of_name if n is not None), 0) for of_name in counts]

    def some_entities(self, most: int) -> list[int]:
        """Draw at most `most` entities, or all, evenly from each layer."""
        first, *later = (_evenly(layer.facts.n_entities, most) for layer in self.layers)
        return [i for i in first.tolist() if i not in self.replaced] + [
            self.later_ids[row] for rows in later for row in rows.tolist()
        ]

    def attributes_of(self, ids: Sequence[int]) -> AttributePairs:
        """Pair entities with their normalised attributes, each pair once."""
        numbers: dict[str, int] = {}
        places = {entity_id: place for place, entity_id in enumerate(ids)}
        found = [(np.zeros(0, np.int64), np.zeros(0, np.int64))]
        for layer, rows, of_layer in self._located(ids):
            entities, attributes = layer.facts.attributes_of(np.array(rows), numbers)
            found.append((np.array([places[i] for i in of_layer])[entities], attributes))
        entities, attributes = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return AttributePairs(list(numbers), entities, attributes)

    def near_names(self, vectors: NDArray[np.float32], n: int) -> list[dict[str, tuple[int, float]]]:
        """Map for each row of (n_texts, dim) the `n` nearest plain names of each layer to their entity and cosine."""
        found: list[dict[str, tuple[int, float]]] = [{} for _ in vectors]
        for layer in self.layers:
            for names, hits in zip(found, layer.entity_vectors.search(vectors, n), strict=True):
                for entity_id, cosine in hits:
                    names.setdefault(plain_name(self._name_in(layer, entity_id)), (entity_id, cosine))
        return found

    def near_attributes(self, vectors: NDArray[np.float32], n: int) -> list[dict[str, float]]:
        """Map for each row of (n_texts, dim) the `n` nearest normalised attributes of each layer to their cosine."""
        found: list[dict[str, float]] = [{} for _ in vectors]
        for layer in self.layers:
            for names, hits in zip(found, layer.attribute_vectors.search(vectors, n), strict=True):
                names |= {layer.facts.attribute_name(number): score for number, score in hits}
        return found

    def extra(self, ids: Sequence[int]) -> dict[int, tuple[Mapping[str, str], ...]]:
        """Map the ids of triples with extra columns to what each of their lines had there."""
        found: dict[int, tuple[Mapping[str, str], ...]] = {}
        for layer in self.layers:
            offset = self.offset(layer)
            rows = [i - offset for i in ids if self._layer_of_triple(i) is layer]
            if rows:
                found |= {row + offset: extra for row, extra in layer.extra(rows).items()}
        return found

    def _name_in(self, layer: Layer, entity_id: int) -> str:
        """The name that an entity has in a layer, even where the layer does not speak for it any more."""
        row = entity_id if layer is self.first else self._rows[entity_id]
        return layer.facts.name(row)

    def _located(self, ids: Iterable[int]) -> list[tuple[Layer, Sequence[int], Sequence[int]]]:
        """The layers that speak for some of the ids, and for each of them the rows and the ids of these, ascending."""
        wanted = sorted({int(i) for i in ids})
        n_first = self.first.facts.n_entities
        first = [i for i in wanted if 0 <= i < n_first and i not in self.replaced]
        located: list[tuple[Layer, Sequence[int], Sequence[int]]] = [(self.first, first, first)]
        if self.later:
            later = [i for i in wanted if i in self._rows]
            located.append((self.later, [self._rows[i] for i in later], later))
        return [(layer, rows, of_layer) for layer, rows, of_layer in located if rows]

    def offset(self, layer: Layer) -> int:
        """What is added to the rows of a layer's triples to make their ids."""
        return 0 if layer is self.first else self.first.facts.n_triples

    def _layer_of_triple(self, i: int) -> Layer | None:
        for layer in self.layers:
            if 0 <= i - self.offset(layer) < layer.facts.n_triples:
                return layer
        return None


def open_view(folder: Path) -> View:
    """Open the layers of an index folder.

    Raises:
        IndexFolderError: the folder is no index, is damaged, or is of another schema version.
    """
    return open_steadily(folder, View)


def _lists(value: str, name: str) -> bool:
    return name in map(normalize_name, re.split(LIST_MARKS, value))


def _later_ids(folder: Path) -> tuple[list[int], list[int]]:
    return open_numbers(folder / "ids").tolist(), open_numbers(folder / "gone").tolist()


def _evenly(n: int, most: int) -> NDArray[np.int64]:
    return np.unique(np.linspace(0, n - 1, min(n, most)).astype(np.int64))
