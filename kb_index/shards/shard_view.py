"""One shard of an index, asked and telling by the ids of the whole index.

A shard's folder is an ordinary index, whose rows ascend as their global ids do, so what it lists in its order is in the
order of the whole index, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kb_index.closing import Closing
from kb_index.look_ups import AttributePairs, Called, Listed
from kb_index.normalize import plain_name
from kb_index.shards.layout import Numbering, open_numbering, shard_folder
from kb_index.shards.shard_manifest import check_is_built
from kb_index.types import Entity, Triple
from kb_index.view import View, open_view

__all__ = ["ShardView", "open_shard"]

FEW = 8
"""NumPy takes longer to begin than so many ids take one by one."""


class ShardView(Closing):
    """The look-ups of one shard; those of names that are near are for vectors of the index's encoder."""

    def __init__(self, view: View, numbering: Numbering) -> None:
        self._view, self._numbering = view, numbering
        self._facts = view.first.facts

    def close(self) -> None:
        """Close the files."""
        self._view.close()

    def mentions(self, text: str) -> dict[tuple[int, int], Called]:
        """Map each stretch (start, end) of a text that is an alias to its entities."""
        return {at: self._called(called) for at, called in self._view.mentions(text).items()}

    def called(self, aliases: Sequence[str]) -> list[Called]:
        """Give the entities of each normalised alias."""
        return list(map(self._called, self._view.called(aliases)))

    def listed(self, prefix: str, limit: int) -> list[Listed]:
        """List the first `limit` pairs of an alias that begins with a normalised prefix and an entity."""
        found = self._view.listed(prefix, limit)
        ids = self._ids([entry.entity_id for entry in found])
        return [entry._replace(entity_id=i) for entry, i in zip(found, ids, strict=True)]

    def entities(self, ids: Iterable[int]) -> list[Entity]:
        """List the entities with these ids, ascending."""
        rows = self._rows(ids)
        return self._facts.entities(rows.tolist(), self._numbering.entities[rows].tolist())

    def triples_of(self, ids: Iterable[int]) -> list[Triple]:
        """List all triples about the entities, in ascending order of the entities' ids."""
        return self._triples(self._rows(ids))

    def triples_by_id(self, ids: Iterable[int]) -> list[Triple]:
        """List the triples with these ids, ascending."""
        wanted = set(ids)
        entities = np.searchsorted(self._numbering.triples, sorted(wanted), side="right") - 1
        return [t for t in self._triples(np.unique(entities[entities >= 0])) if t.id in wanted]

    def triples_about(self, name: str, limit: int, listed: bool = False) -> list[Triple]:
        """List at most `limit` triples whose object, normalised, is a normalised name, or lists it."""
        found = self._view.triples_about(name, limit, listed)
        rows = [t.subject_id for t in found]
        ids = self._triple_ids([t.id for t in found], rows)
        return [t._replace(id=i, subject_id=s) for t, i, s in zip(found, ids, self._ids(rows), strict=True)]

    def extra(self, ids: Sequence[int]) -> dict[int, tuple[Mapping[str, str], ...]]:
        """Map the ids of triples with extra columns to what each of their lines had there."""
        wanted = np.array(sorted(ids), np.int64)
        rows = np.searchsorted(self._numbering.triples, wanted, side="right") - 1
        local = wanted - self._numbering.triples[rows] + self._facts.first_triples(rows)
        of_row = dict(zip(local.tolist(), wanted.tolist(), strict=True))
        return {of_row[row]: extra for row, extra in self._view.extra(list(of_row)).items()}

    def attribute_triples(self, names: Sequence[str]) -> list[int]:
        """Count the triples with each normalised attribute."""
        return self._view.attribute_triples(names)

    def attributes_of(self, ids: Sequence[int]) -> AttributePairs:
        """Pair entities with their normalised attributes, each pair once."""
        return self._view.attributes_of(self._rows(ids).tolist())

    def nearest(self, vectors: NDArray[np.float32], n: int) -> list[list[tuple[float, int]]]:
        """List for each row of (n_texts, dim) the `n` nearest names: their negative cosine and first entity, ascending.

        Which names these are is another look-up, since of what all shards list most is too far away to matter.
        """
        ids = self._numbering.entities
        found = self._view.first.entity_vectors.search(vectors, n)
        return [sorted((-cosine, int(ids[row])) for row, cosine in hits) for hits in found]

    def plain_names(self, ids: Sequence[int]) -> dict[int, str]:
        """Map entities to their names, normalised and without descriptions."""
        return {entity.id: plain_name(entity.name) for entity in self.entities(ids)}

    def near_attributes(self, vectors: NDArray[np.float32], n: int) -> list[dict[str, float]]:
        """Map for each row of (n_texts, dim) the `n` nearest normalised attributes to their cosine."""
        return self._view.near_attributes(vectors, n)

    def _called(self, called: Called) -> Called:
        return Called(self._ids(called.named), self._ids(called.by_value))

    def _ids(self, rows: Sequence[int]) -> list[int]:
        if len(rows) < FEW:
            return [int(self._numbering.entities[row]) for row in rows]
        ids: list[int] = self._numbering.entities[rows].tolist()
        return ids

    def _rows(self, ids: Iterable[int]) -> NDArray[np.int64]:
        """The rows of the entities that are in this shard, ascending."""
        wanted = np.array(sorted(set(ids)), np.int64)
        rows = np.searchsorted(self._numbering.entities, wanted)
        rows, wanted = (of[rows < len(self._numbering.entities)] for of in (rows, wanted))
        found: NDArray[np.int64] = rows[self._numbering.entities[rows] == wanted]
        return found

    def _triples(self, rows: NDArray[np.int64]) -> list[Triple]:
        offsets = self._numbering.triples[rows] - self._facts.first_triples(rows)
        return self._facts.triples(rows.tolist(), self._numbering.entities[rows].tolist(), offsets)

    def _triple_ids(self, local: Sequence[int], rows: Sequence[int]) -> list[int]:
        if not rows:
            return []
        of_rows = np.array(rows)
        ids: list[int] = (
            self._numbering.triples[of_rows] - self._facts.first_triples(of_rows) + np.array(local)
        ).tolist()
        return ids


def open_shard(index: Path, name: str, sha256: str) -> ShardView:
    """Open a shard of an index whose manifest has the given fingerprint.

    Raises:
        IndexFolderError: it is missing, damaged, or of another index.
    """
    folder = shard_folder(index, name)
    view = open_view(folder)
    try:
        check_is_built(folder, sha256)
        return ShardView(view, open_numbering(index, name))
    except BaseException:
        view.close()
        raise
