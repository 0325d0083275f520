"""One layer of an open index: the files in one folder that hold entities, triples, names, attributes and vectors.

A layer numbers its rows from 0. Which ids they have outside, and which layer speaks for an entity, is decided in
`view.py`.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kb_index.errors import IndexFolderError
from kb_index.facts import Facts
from kb_index.manifest import MANIFEST_FILE
from kb_index.names import AttributeTrie, open_trie
from kb_index.vectors import VectorIndex

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["Layer", "SameFile"]

_EXTRA = """
    SELECT triple, content FROM kb.extra JOIN (SELECT unnest($1::INTEGER[]) AS wanted) ON triple = wanted
    ORDER BY extra.rowid
"""


class SameFile:
    """A path, and the assurance that what is there later is the file that was there when this was made."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._index = next((folder for folder in path.parents if (folder / MANIFEST_FILE).is_file()), path.parent)
        self._made = self._identity()

    def path(self) -> Path:
        """Give the path.

        Raises:
            IndexFolderError: another file is there by now.
        """
        if self._identity() != self._made:
            raise IndexFolderError(f"index '{self._index}': replaced since it was opened; reopen it")
        return self._path

    def _identity(self) -> tuple[int, ...] | None:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        # A later file may have the inode of one that is gone; a hard link has all four of its file.
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


class Layer:
    """The open files of one layer, read-only; safe to use from several threads. Vectors are opened when asked for."""

    def __init__(self, folder: Path) -> None:
        self.facts = Facts(folder / "facts")
        self.names = open_trie(folder / "names.marisa")
        self.attributes = AttributeTrie.open(folder / "attributes.marisa")
        self._entity_vectors = SameFile(folder / "entities.faiss")
        self._attribute_vectors = SameFile(folder / "attributes.faiss")
        self._connection = _attach(folder / "kb.duckdb")
        self._local = threading.local()

    def close(self) -> None:
        """Close the database; the layer cannot be used after that."""
        self._connection.close()

    @cached_property
    def entity_vectors(self) -> VectorIndex:
        """The vectors of the names, under the ids of entities."""
        return VectorIndex.open(self._entity_vectors.path())

    @cached_property
    def attribute_vectors(self) -> VectorIndex:
        """The vectors of the attributes, under their rows."""
        return VectorIndex.open(self._attribute_vectors.path())

    def extra(self, triples: Sequence[int]) -> dict[int, tuple[Mapping[str, str], ...]]:
        """Map the rows of triples that have extra columns to what each of their lines had there."""
        found: dict[int, tuple[Mapping[str, str], ...]] = {}
        if self._has_extra:
            for triple, content in self._execute(_EXTRA, [list(set(triples))]):
                found[triple] = (*found.get(triple, ()), json.loads(content))
        return found

    @cached_property
    def _has_extra(self) -> bool:
        return bool(self._execute("SELECT triple FROM kb.extra LIMIT 1", []))

    def _execute(self, sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        cursor: DuckDBPyConnection | None = getattr(self._local, "cursor", None)
        if cursor is None:
            cursor = self._local.cursor = self._connection.cursor()
        return cursor.execute(sql, parameters).fetchall()


def _attach(path: Path) -> DuckDBPyConnection:
    import duckdb

    # Attached, because duckdb.connect(path) gives a process that has replaced an index the old file again.
    connection = duckdb.connect(config={"threads": 1})
    try:
        connection.execute("ATTACH $1 AS kb (READ_ONLY)", [str(path)])
    except duckdb.Error:
        connection.close()
        raise
    return connection
