"""What an index says of each entity, memory-mapped: names, triples by subject, and triples by object.

    names, keys          texts by entity; keys only where an entity has an identity that is not its name
    first, predicates    the first triple of each entity; the predicate of each triple
    objects              texts by entity: the objects of its triples, a line each
    predicate_names      texts by predicate; `attribute_names` texts by normalised attribute
    reverse_hash, reverse_triple   hashes of the normalised short objects, and of the names that objects list,
                                   ascending, and their triples

DuckDB holds the same triples for work on all of them, but fetches single rows too slowly: 1,300 triples of 200
entities, a common question's worth at full scale, take it 18 ms, and take 2 ms here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from kb_index.columns import TextColumn, fetch_columns, open_numbers, save_numbers, save_texts
from kb_index.normalize import LIST_MARKS, PLAIN_NAME_SQL, normalize_attribute
from kb_index.types import Entity, Triple

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["Facts", "write_facts", "write_reverse"]

MAX_LIST_CHARS = 200
"""A longer object is prose and no list of names."""

T = TypeVar("T")


def write_facts(connection: DuckDBPyConnection, folder: Path) -> None:
    """Write the names and the triples by subject from the tables of a filled store."""
    ((n_entities, n_keys),) = connection.execute("SELECT count(*), count(key) FROM entity").fetchall()
    each = np.arange(n_entities + 1)
    save_texts(connection, "entity", "name", folder / "names", each)
    if n_keys:
        save_texts(connection, "entity", "coalesce(key, '')", folder / "keys", each)
    ((n_predicates,),) = connection.execute("SELECT count(*) FROM predicate").fetchall()
    save_texts(connection, "predicate", "name", folder / "predicate_names", np.arange(n_predicates + 1))
    first, predicates = np.zeros(n_entities + 1, dtype=np.int64), []
    for subject, predicate in fetch_columns(connection, "subject, predicate", "triple"):
        first[1:] += np.bincount(subject, minlength=n_entities)
        predicates.append(predicate.astype(np.uint32))
    np.cumsum(first, out=first)
    save_numbers(folder / "first", first)
    save_numbers(folder / "predicates", np.concatenate(predicates) if predicates else np.zeros(0, np.uint32))
    save_texts(connection, "triple", "object", folder / "objects", first)


def write_reverse(connection: DuckDBPyConnection, folder: Path, max_chars: int) -> None:
    """Write the triples by object; SQL must see, as `spelling`, the short objects that need normalising."""
    name = f"CASE WHEN {PLAIN_NAME_SQL.format('object')} THEN object ELSE spelling.name END"
    chunks = [
        hashes << np.uint64(32) | triples.astype(np.uint64)
        for hashes, triples in fetch_columns(
            connection,
            f"md5_number_lower({name}) >> 32, triple.rowid",
            "triple LEFT JOIN spelling ON spelling.written = object",
            f"length(object) <= {max_chars}",
        )
    ]
    # Names that need normalising are found as whole objects only.
    names = f"list_transform(string_split_regex(object, '{LIST_MARKS}'), lambda part: trim(part))"
    plain = f"length(part) BETWEEN 2 AND {max_chars} AND {PLAIN_NAME_SQL.format('part')}"
    chunks += [
        hashes.astype(np.uint64) << np.uint64(32) | triples.astype(np.uint64)
        for hashes, triples in fetch_columns(
            connection,
            f"unnest([md5_number_lower(part) >> 32 for part in {names} if {plain}]), triple.rowid",
            "triple",
            f"length(object) BETWEEN 3 AND {MAX_LIST_CHARS} AND regexp_matches(object, '{LIST_MARKS}')",
        )
    ]
    pairs = np.unique(np.concatenate(chunks)) if chunks else np.zeros(0, np.uint64)
    save_numbers(folder / "reverse_hash", (pairs >> np.uint64(32)).astype(np.uint32))
    save_numbers(folder / "reverse_triple", pairs.astype(np.uint32))


def _hash(name: str) -> int:
    """The upper half of what DuckDB calls `md5_number_lower`; two names in four thousand million share it."""
    return int.from_bytes(hashlib.md5(name.encode(), usedforsecurity=False).digest()[12:], "little")


class _Seen(dict[int, str]):
    """The texts of a column by row, each read once and then looked up without Python code."""

    def __init__(self, column: TextColumn) -> None:
        super().__init__()
        self._column = column

    def __missing__(self, row: int) -> str:
        text = self[row] = self._column[row]
        return text


class Facts:
    """The files that the two functions above wrote, by row; safe to use from several threads."""

    def __init__(self, folder: Path) -> None:
        self._names = TextColumn.open(folder / "names")
        self._keys = TextColumn.open(folder / "keys") if (folder / "keys.npy").is_file() else None
        self._objects = TextColumn.open(folder / "objects")
        self._predicate_names = TextColumn.open(folder / "predicate_names")
        self._attribute_names = TextColumn.open(folder / "attribute_names")
        self._first: NDArray[Any] = open_numbers(folder / "first")
        self._predicates: NDArray[Any] = open_numbers(folder / "predicates")
        self._hashes: NDArray[Any] = open_numbers(folder / "reverse_hash")
        self._about: NDArray[Any] = open_numbers(folder / "reverse_triple")
        self._predicate = _Seen(self._predicate_names).__getitem__

    @property
    def n_entities(self) -> int:
        """The number of entities."""
        return len(self._names)

    @property
    def n_triples(self) -> int:
        """The number of triples."""
        return len(self._predicates)

    def name(self, row: int) -> str:
        """Give the name of the entity in a row."""
        return self._names[row]

    def entities(self, rows: Sequence[int], ids: Sequence[int]) -> list[Entity]:
        """List the entities in some rows, under the ids that they have outside."""
        keys = [self._keys[row] or None for row in rows] if self._keys else [None] * len(rows)
        return list(map(Entity._make, zip(ids, map(self.name, rows), keys, strict=True)))

    def triples(self, rows: Sequence[int], ids: Sequence[int], offset: int | NDArray[np.int64]) -> list[Triple]:
        """List the triples of the entities in some rows, which have `ids` outside, in the order of the rows.

        `offset` is added to the rows of the triples to make their ids: one for all, or one for each entity.
        """
        if not rows:
            return []
        numbers, counts = self._numbers(np.array(rows))
        columns = (
            (numbers + np.repeat(offset, counts if np.ndim(offset) else len(numbers))).tolist(),
            _repeated(map(self.name, rows), counts),
            map(self._predicate, self._predicates[numbers].tolist()),
            "\n".join(map(self._objects.__getitem__, rows)).split("\n"),
            _repeated(ids, counts),
            [()] * len(numbers),
        )
        return list(map(Triple._make, zip(*columns, strict=True)))

    def _numbers(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The triples of the entities in some rows, one entity's after the other's, and how many each has."""
        starts, ends = (self._first[rows + i].astype(np.int64) for i in (0, 1))
        counts = ends - starts
        return np.arange(counts.sum()) + np.repeat(ends - np.cumsum(counts), counts), counts

    def attributes_of(self, rows: NDArray[np.int64], numbers: dict[str, int]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Pair the entities in some rows, by their place in `rows`, with their normalised attributes, each pair once.

        Attributes are given by their number in `numbers`, which gets those that it lacks. Two arrays of (n_pairs,).
        """
        predicates = map(self._predicate_names.__getitem__, range(len(self._predicate_names)))
        code = [numbers.setdefault(normalize_attribute(name), len(numbers)) for name in predicates]
        triples, counts = self._numbers(rows)
        attributes = np.array(code, np.int64)[self._predicates[triples]]
        pairs = np.unique(np.repeat(np.arange(len(rows)), counts) * len(numbers) + attributes)
        return divmod(pairs, max(1, len(numbers)))

    def attribute_name(self, row: int) -> str:
        """Give the normalised attribute in a row."""
        return self._attribute_names[row]

    def first_triples(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Give the rows of the first triples of the entities in some rows, in which `n_entities` has an end, too."""
        return self._first[rows].astype(np.int64)

    def row_of_triple(self, triple: int) -> int:
        """Give the row of the entity that a triple's row belongs to."""
        # A number of another type would make NumPy convert the whole column first.
        return int(np.searchsorted(self._first, self._first.dtype.type(triple), side="right")) - 1

    def about(self, name: str) -> NDArray[Any]:
        """List the rows, ascending, of triples whose object is probably a normalised name: their hashes are equal."""
        wanted = np.uint32(_hash(name))
        start, end = np.searchsorted(self._hashes, wanted), np.searchsorted(self._hashes, wanted, side="right")
        return self._about[start:end]


def _repeated(values: Iterable[T], counts: NDArray[np.int64]) -> Iterator[T]:
    return chain.from_iterable(map(repeat, values, counts.tolist()))
