"""The triples in DuckDB: what `kb.duckdb` holds, how it is filled, and the look-ups.

    entity(id, name)                    ids count up from 0 in the order of first appearance
    triple(id, subject_id, subject, predicate, object)
                                        ids count up from 0 along subject_id, so a subject's triples lie together
    attribute(id, name, triples)        normalised, the most frequent first
    reverse(name, triple_id)            normalised name and the triples that have it as object, where it is an alias

Text columns are not compressed: a look-up of 200 entities takes 3 ms so, and 33 ms with DuckDB's default compression,
which unpacks whole blocks. Aliases are not here but in the names trie.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from itertools import starmap
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from kb_index.types import Entity, Triple

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["StoreCounts", "StoreWriter", "TripleStore"]

_SCHEMA = """
    CREATE TABLE entity (id INTEGER, name VARCHAR USING COMPRESSION uncompressed);
    CREATE TABLE triple (
        id INTEGER, subject_id INTEGER, subject VARCHAR USING COMPRESSION uncompressed,
        predicate VARCHAR USING COMPRESSION uncompressed, object VARCHAR USING COMPRESSION uncompressed
    );
    CREATE TABLE attribute (id INTEGER, name VARCHAR, triples BIGINT);
    CREATE TABLE reverse (name VARCHAR, triple_id INTEGER);
"""

_DISTINCT = """
    CREATE TEMP TABLE distinct_triple AS
    SELECT min(rowid) AS position, subject, predicate, object FROM raw WHERE reason IS NULL
    GROUP BY subject, predicate, object
"""

_ENTITIES = """
    INSERT INTO entity SELECT row_number() OVER (ORDER BY position) - 1, subject
    FROM (SELECT min(position) AS position, subject FROM distinct_triple GROUP BY subject) ORDER BY position
"""

_TRIPLES = """
    INSERT INTO triple SELECT row_number() OVER (ORDER BY e.id, d.position) - 1, e.id, d.subject, d.predicate, d.object
    FROM distinct_triple d JOIN entity e ON e.name = d.subject ORDER BY e.id, d.position
"""

_TRIPLE_INDEX = "DROP TABLE distinct_triple; CREATE INDEX triple_subject ON triple (subject_id)"

_ATTRIBUTES = """
    INSERT INTO attribute SELECT row_number() OVER (ORDER BY triples DESC, name) - 1, name, triples
    FROM (SELECT s.name, count(*) AS triples FROM triple t JOIN spelling s ON s.written = t.predicate GROUP BY 1)
    ORDER BY triples DESC, name
"""

_REVERSE = """
    INSERT INTO reverse SELECT s.name, t.id FROM triple t JOIN spelling s ON s.written = t.object
    ORDER BY s.name, t.id
"""

# Ids were given out in the order of rows, and DuckDB goes straight to a row by its number.
_ENTITY_BY_ID = """
    SELECT id, name FROM kb.entity JOIN (SELECT unnest($1::BIGINT[]) AS wanted) ON entity.rowid = wanted
"""
_ATTRIBUTE_BY_ID = """
    SELECT id, name FROM kb.attribute JOIN (SELECT unnest($1::BIGINT[]) AS wanted) ON attribute.rowid = wanted
"""
_TRIPLE_BY_ID = """
    SELECT id, subject, predicate, object, subject_id
    FROM kb.triple JOIN (SELECT unnest($1::BIGINT[]) AS wanted) ON triple.rowid = wanted
"""
_TRIPLE_BY_SUBJECTS = """
    SELECT id, subject, predicate, object, subject_id
    FROM kb.triple JOIN (SELECT unnest($1::BIGINT[]) AS wanted) ON subject_id = wanted
"""
_TRIPLE_BY_SUBJECT = "SELECT id, subject, predicate, object, subject_id FROM kb.triple WHERE subject_id IN (?)"

FETCH_ROWS = 200_000

INDEX_LOOKUPS = 500
"""Up to so many subjects are looked up one by one in the index; more are joined with one pass over the table."""


class StoreCounts(NamedTuple):
    """How many lines became triples, and of what they are made; `attributes` are counted as written."""

    lines: int
    triples: int
    duplicates: int
    rejected: int
    entities: int
    attributes: int


class StoreWriter:
    """Fills a new `kb.duckdb` from the temporary table `raw`; each method is one step, in the order below."""

    def __init__(self, connection: DuckDBPyConnection) -> None:
        self._connection = connection
        connection.execute(_SCHEMA)

    def write_triples(self) -> Iterator[None]:
        """Fill `entity` and `triple`; yields after each of the four steps."""
        for sql in (_DISTINCT, _ENTITIES, _TRIPLES, _TRIPLE_INDEX):
            self._connection.execute(sql)
            yield

    def counts(self) -> StoreCounts:
        """Count lines and triples."""
        lines, rejected = self._one("SELECT count(*), count(reason) FROM raw")
        (entities,) = self._one("SELECT count(*) FROM entity")
        triples, attributes = self._one("SELECT count(*), count(DISTINCT predicate) FROM triple")
        return StoreCounts(lines, triples, lines - rejected - triples, rejected, entities, attributes)

    def rejects(self) -> Iterator[tuple[int, int, str, str]]:
        """Yield the lines that are no triples as (file, line number, reason, text)."""
        # Temporary tables are not seen from a cursor of its own, so nothing else may run until this is exhausted.
        sql = "SELECT file, line_number, reason, text FROM raw WHERE reason IS NOT NULL ORDER BY file, line_number"
        yield from _rows(self._connection.execute(sql))

    def entity_names(self) -> Iterator[tuple[int, str]]:
        """Yield (id, name) of all entities, in ascending order of id."""
        yield from _rows(self._connection.cursor().execute("SELECT id, name FROM entity ORDER BY id"))

    def predicates(self) -> list[str]:
        """List all predicates as written, sorted."""
        return [name for (name,) in self._all("SELECT DISTINCT predicate FROM triple ORDER BY predicate")]

    def short_objects(self, max_chars: int) -> Iterator[str]:
        """Yield the distinct objects that are short enough to be names."""
        sql = "SELECT DISTINCT object FROM triple WHERE length(object) <= $1"
        yield from (name for (name,) in _rows(self._connection.cursor().execute(sql, [max_chars])))

    def values_of(self, predicates: Sequence[str]) -> Iterator[tuple[int, str]]:
        """Yield (subject id, object) of the triples with one of the predicates, as written."""
        cursor = self._connection.cursor()
        sql = "SELECT subject_id, object FROM triple WHERE predicate IN (SELECT unnest($1::VARCHAR[])) ORDER BY id"
        yield from _rows(cursor.execute(sql, [list(predicates)]))

    def write_attributes(self, names: Mapping[str, str]) -> list[str]:
        """Fill `attribute` from a map of predicate as written to normalised; returns the names in the order of ids."""
        self._run_with_spelling(_ATTRIBUTES, names)
        return [name for (name,) in self._all("SELECT name FROM attribute ORDER BY id")]

    def write_reverse(self, names: Mapping[str, str]) -> None:
        """Fill `reverse` from a map of object as written to the normalised name that it is an alias of."""
        self._run_with_spelling(_REVERSE, names)

    def _run_with_spelling(self, sql: str, names: Mapping[str, str]) -> None:
        # An array of objects reaches DuckDB many times faster than a list; the last one keeps it from being empty.
        arrays = {
            "written": np.array([*names.keys(), ""], dtype=object),
            "name": np.array([*names.values(), ""], dtype=object),
        }
        self._connection.register("spelling", arrays)
        self._connection.execute(sql)
        self._connection.unregister("spelling")

    def _all(self, sql: str) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql).fetchall()

    def _one(self, sql: str) -> tuple[int, ...]:
        return self._all(sql)[0]


def _rows(cursor: DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    while rows := cursor.fetchmany(FETCH_ROWS):
        yield from rows


class TripleStore:
    """Look-ups in a `kb.duckdb`, read-only; safe to use from several threads, each of which gets its own cursor."""

    def __init__(self, path: Path) -> None:
        import duckdb

        # Attached, because duckdb.connect(path) gives a process that has replaced an index the old file again. Look-ups
        # are small: a second thread costs more than it brings.
        self._connection = duckdb.connect(config={"threads": 1})
        try:
            self._connection.execute("ATTACH $1 AS kb (READ_ONLY)", [str(path)])
            self._connection.execute("SET index_scan_max_count = 10000000")
        except duckdb.Error:
            self._connection.close()
            raise
        self._local = threading.local()

    def close(self) -> None:
        """Close the file; the store cannot be used after that."""
        self._connection.close()

    def entities(self, ids: Sequence[int]) -> list[Entity]:
        """Look up the entities with these ids, in ascending order; an unknown id is left out."""
        return sorted(starmap(Entity, self._by_ids(_ENTITY_BY_ID, ids)))

    def triples_of(self, entity_ids: Sequence[int]) -> list[Triple]:
        """Look up all triples about the entities, in ascending order of id, so grouped by subject."""
        wanted = sorted({int(i) for i in entity_ids})
        if len(wanted) > INDEX_LOOKUPS or not wanted:
            return sorted(starmap(Triple, self._by_ids(_TRIPLE_BY_SUBJECTS, wanted)))
        # DuckDB uses its index for a list of values only, and for a join not.
        sql = _TRIPLE_BY_SUBJECT.replace("?", ", ".join("?" * len(wanted)))
        return sorted(starmap(Triple, self._execute(sql, wanted)))

    def triples_by_id(self, ids: Sequence[int]) -> list[Triple]:
        """Look up the triples with these ids, in ascending order; an unknown id is left out."""
        return sorted(starmap(Triple, self._by_ids(_TRIPLE_BY_ID, ids)))

    def triples_about(self, name: str, limit: int) -> list[Triple]:
        """Look up at most `limit` triples with an object that, normalised, equals `name` (normalised)."""
        sql = "SELECT triple_id FROM kb.reverse WHERE name = $1 ORDER BY triple_id LIMIT $2"
        return self.triples_by_id([i for (i,) in self._execute(sql, [name, limit])])

    def attribute_counts(self, names: Sequence[str]) -> dict[str, int]:
        """Count in how many triples each normalised attribute occurs; an unknown one is left out."""
        sql = "SELECT name, triples FROM kb.attribute WHERE name IN (SELECT unnest($1::VARCHAR[]))"
        return dict(self._execute(sql, [list(names)]))

    def attributes(self, ids: Sequence[int]) -> dict[int, str]:
        """Map these ids to their normalised attributes."""
        return dict(self._by_ids(_ATTRIBUTE_BY_ID, ids))

    def _by_ids(self, sql: str, ids: Sequence[int]) -> list[tuple[Any, ...]]:
        return self._execute(sql, [sorted({int(i) for i in ids})]) if len(ids) else []

    def _execute(self, sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        cursor: DuckDBPyConnection | None = getattr(self._local, "cursor", None)
        if cursor is None:
            cursor = self._local.cursor = self._connection.cursor()
        return cursor.execute(sql, parameters).fetchall()
