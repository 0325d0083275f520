"""What an index said when it was opened: its first layer, and the later one that an update left, seen as one.

The later layer holds the entities that were added or changed since the first was built, each with all its triples, and
the ids of those that are gone. It speaks for these entities alone, and the first layer for all others, so nothing has
to be taken out of the first layer's files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import chain
from operator import attrgetter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kb_index.columns import open_numbers
from kb_index.encoder import Encoder, open_encoder
from kb_index.errors import EncoderMismatchError, IndexFolderError
from kb_index.layer import Layer, SameFile
from kb_index.manifest import Manifest, check_files, read_manifest
from kb_index.names import NameTrie
from kb_index.normalize import LIST_MARKS, normalize_name
from kb_index.swap import find_index
from kb_index.types import Entity, Triple

__all__ = ["DELTA", "View", "open_view"]

DELTA = "delta"
"""The folder of the later layer; its files `ids.npy` and `gone.npy` hold the ids of its rows and those of no triple."""


class View:
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
        self._encoder_file = SameFile(folder / "encoder" / "model.safetensors")

    def close(self) -> None:
        """Close the files."""
        for layer in self.layers:
            layer.close()

    @property
    def layers(self) -> Sequence[Layer]:
        """The layers, the first one first."""
        return (self.first, self.later) if self.later else (self.first,)

    @cached_property
    def encoder(self) -> Encoder:
        """The encoder that the vectors were made with; `KnowledgeBase.encoder` lists what can go wrong."""
        self._encoder_file.path()
        made_with = self.manifest.encoder
        encoder = open_encoder(made_with.name, self.folder / "encoder")
        if encoder.dim != made_with.dim:
            raise EncoderMismatchError(
                f"index '{self.folder}': made with encoder {made_with.name!r} (dim {made_with.dim}), which now has "
                f"dim {encoder.dim}; build the index again"
            )
        return encoder

    def name_in(self, layer: Layer, entity_id: int) -> str:
        """Give the name that an entity has in a layer, even where the layer does not speak for it any more."""
        row = entity_id if layer is self.first else self._rows[entity_id]
        return layer.facts.name(row)

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

    def attribute_triples(self, name: str) -> int:
        """Count the triples with a normalised attribute."""
        for layer in reversed(self.layers):
            count = layer.attributes.triples(name)
            if count is not None:
                return count
        return 0

    def attributes_of_entities(self, most: int) -> tuple[list[str], NDArray[np.int64], NDArray[np.int64]]:
        """Pair entities with their attributes; `KnowledgeBase.attributes_of_entities` says how."""
        numbers: dict[str, int] = {}
        found, n_entities = [], 0
        for layer in self.layers:
            n = layer.facts.n_entities
            rows = np.unique(np.linspace(0, n - 1, min(n, most)).astype(np.int64))
            if layer is self.first and self.replaced:
                rows = rows[~np.isin(rows, list(self.replaced))]
            entities, attributes = layer.facts.attributes_of(rows, numbers)
            found.append((entities + n_entities, attributes))
            n_entities += len(rows)
        entities, attributes = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return list(numbers), entities, attributes

    def extra(self, ids: Sequence[int]) -> dict[int, tuple[Mapping[str, str], ...]]:
        """Map the ids of triples with extra columns to what each of their lines had there."""
        found: dict[int, tuple[Mapping[str, str], ...]] = {}
        for layer in self.layers:
            offset = self.offset(layer)
            rows = [i - offset for i in ids if self._layer_of_triple(i) is layer]
            if rows:
                found |= {row + offset: extra for row, extra in layer.extra(rows).items()}
        return found

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
    """Open the layers of an index folder; one that is replaced at the same time is opened as it was or as it is then.

    Raises:
        IndexFolderError: the folder is no index, is damaged, or is of another schema version.
    """
    while True:
        place = find_index(folder)
        manifest = read_manifest(place)
        try:
            view = _open(place, manifest)
        except IndexFolderError:
            if _is_still_there(manifest, place):
                raise
        else:
            if _is_still_there(manifest, place):
                return view
            view.close()


def _open(folder: Path, manifest: Manifest) -> View:
    check_files(manifest, folder)
    try:
        return View(folder, manifest)
    except Exception as error:
        reason = str(error).split("\n", 1)[0]
        raise IndexFolderError(f"index '{folder}': damaged ({reason}); build it again") from error


def _is_still_there(manifest: Manifest, folder: Path) -> bool:
    try:
        return read_manifest(folder) == manifest
    except IndexFolderError:
        return False


def _lists(value: str, name: str) -> bool:
    return name in map(normalize_name, re.split(LIST_MARKS, value))


def _later_ids(folder: Path) -> tuple[list[int], list[int]]:
    return open_numbers(folder / "ids").tolist(), open_numbers(folder / "gone").tolist()
