"""The triples in DuckDB: what `kb.duckdb` holds, and how it is filled from the lines that the readers loaded.

    entity(name, key)                   in the order of first appearance; `key` is an identity beside the name: an IRI
    predicate(name, attribute, triples) as written, with the normalised attribute it is a spelling of
    attribute(name, triples)            normalised, the most frequent first
    triple(subject, predicate, object)  by subject, so that a subject's triples lie together; numbers of rows
    extra(triple, content)              a JSON object for each line that stated a triple, where a line had extra columns

Rows are numbered by DuckDB's `rowid`, from 0; other tables refer to these numbers. Nothing is looked up here while
questions are answered: that is what `facts.py` and `names.py` are for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from kb_index.array_tables import registered
from kb_index.names import BY_VALUE
from kb_index.normalize import PLAIN_NAME_SQL

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["StoreCounts", "StoreWriter", "fetch_rows", "spelling"]

FETCH_ROWS = 200_000

_SCHEMA = """
    CREATE TABLE entity (name VARCHAR, key VARCHAR);
    CREATE TABLE predicate (name VARCHAR, attribute INTEGER, triples BIGINT);
    CREATE TABLE attribute (name VARCHAR, triples BIGINT);
    CREATE TABLE triple (subject INTEGER, predicate INTEGER, object VARCHAR);
    CREATE TABLE extra (triple INTEGER, content VARCHAR);
"""

_PLAIN_NAME, _PLAIN_OBJECT = map(PLAIN_NAME_SQL.format, ("name", "object"))
_NAMING = """
    predicate IN (SELECT rowid FROM predicate WHERE name IN (SELECT unnest($1::VARCHAR[]))) AND length(object) <= $2
"""

_ENTITIES = """
    CREATE TEMP TABLE known AS
    SELECT (row_number() OVER (ORDER BY position) - 1)::INTEGER AS id, identity, name, key
    FROM (
        SELECT coalesce(key, subject) AS identity, arg_min(subject, rowid) AS name, min(rowid) AS position,
               any_value(key) AS key
        FROM raw WHERE reason IS NULL GROUP BY 1
    );
    INSERT INTO entity SELECT name, key FROM known ORDER BY id;
"""

_PREDICATES = """
    CREATE TEMP TABLE code AS
    SELECT (row_number() OVER (ORDER BY predicate) - 1)::INTEGER AS id, predicate AS name
    FROM (SELECT DISTINCT predicate FROM raw WHERE reason IS NULL);
"""

# Grouping 43 million triples by their hash needs a third of the memory that grouping them by their texts does.
_REPEATS = """
    CREATE TEMP TABLE suspect AS
    SELECT hash(coalesce(key, subject), predicate, object) AS fact
    FROM raw WHERE reason IS NULL GROUP BY 1 HAVING count(*) > 1;
    CREATE TEMP TABLE repeat AS
    SELECT position, stated FROM (
        SELECT rowid AS position, min(rowid) OVER (PARTITION BY coalesce(key, subject), predicate, object) AS stated
        FROM raw WHERE reason IS NULL AND hash(coalesce(key, subject), predicate, object) IN (SELECT fact FROM suspect)
    ) WHERE position != stated;
"""

_PLACED = """
    FROM raw JOIN known ON known.identity = coalesce(raw.key, raw.subject) JOIN code ON code.name = raw.predicate
    WHERE reason IS NULL AND raw.rowid NOT IN (SELECT position FROM repeat) ORDER BY known.id, raw.rowid
"""

_TRIPLES = f"INSERT INTO triple SELECT known.id, code.id, object {_PLACED}"

# A triple that one line states with extra columns and another without keeps both, the second as an empty object.
_EXTRA = f"""
    CREATE TEMP TABLE placed AS
    SELECT row_number() OVER (ORDER BY entity, position) - 1 AS triple, position
    FROM (SELECT known.id AS entity, raw.rowid AS position {_PLACED});
    CREATE TEMP TABLE statement AS
    SELECT triple, coalesce(extra, '{{}}') AS content, raw.rowid AS position, extra IS NOT NULL AS has_extra
    FROM raw LEFT JOIN repeat ON repeat.position = raw.rowid
    JOIN placed ON placed.position = coalesce(repeat.stated, raw.rowid) WHERE reason IS NULL;
    INSERT INTO extra SELECT triple, content FROM statement
    WHERE triple IN (SELECT triple FROM statement WHERE has_extra)
    GROUP BY triple, content ORDER BY triple, min(position);
    DROP TABLE placed; DROP TABLE statement;
"""

_PREDICATE_COUNTS = """
    INSERT INTO predicate SELECT code.name, NULL, count(*) FROM triple JOIN code ON code.id = triple.predicate
    GROUP BY code.id, code.name ORDER BY code.id
"""

_ATTRIBUTES = """
    INSERT INTO attribute SELECT s.name, sum(triples)::BIGINT AS triples
    FROM predicate p JOIN spelling s ON s.written = p.name GROUP BY 1 ORDER BY triples DESC, s.name;
    UPDATE predicate SET attribute = attribute.rowid
    FROM spelling s JOIN attribute ON attribute.name = s.name WHERE s.written = predicate.name;
"""


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
        """Fill all tables but `attribute`; yields after each of the five steps."""
        for sql in (_ENTITIES, _PREDICATES, _REPEATS, _TRIPLES):
            self._connection.execute(sql)
            yield
        if self._one("SELECT count(extra) FROM raw")[0]:
            self._connection.execute(_EXTRA)
        self._connection.execute(_PREDICATE_COUNTS)
        yield

    def counts(self) -> StoreCounts:
        """Count lines and triples."""
        lines, rejected = self._one("SELECT count(*), count(reason) FROM raw")
        triples, entities, attributes = (
            self._one(f"SELECT count(*) FROM {table}")[0] for table in ("triple", "entity", "predicate")
        )
        return StoreCounts(lines, triples, lines - rejected - triples, rejected, entities, attributes)

    def rejects(self) -> Iterator[tuple[int, int, str, str]]:
        """Yield the lines that are no triples as (file, line number, reason, text)."""
        # Temporary tables are not seen from a cursor of its own, so nothing else may run until this is exhausted.
        sql = "SELECT file, line_number, reason, text FROM raw WHERE reason IS NOT NULL ORDER BY file, line_number"
        yield from fetch_rows(self._connection.execute(sql))

    def predicates(self) -> list[str]:
        """List all predicates as written, in the order of their rows."""
        return [name for (name,) in self._all("SELECT name FROM predicate ORDER BY rowid")]

    def plain_aliases(self, naming: Sequence[str], max_chars: int) -> Iterator[tuple[str, int]]:
        """Yield (alias, number) for the names, and the values of naming predicates, that need no normalising.

        Numbers are those of `kb_index.names.entity_aliases`.
        """
        sql = f"""
            SELECT name, rowid FROM entity WHERE {_PLAIN_NAME} UNION ALL
            SELECT object, subject + {BY_VALUE} FROM triple WHERE {_NAMING} AND {_PLAIN_OBJECT}
        """
        yield from self._rows(sql, [list(naming), max_chars])

    def other_names(self) -> Iterator[tuple[str, int]]:
        """Yield (name, entity) for the names that `plain_aliases` leaves out."""
        yield from self._rows(f"SELECT name, rowid FROM entity WHERE NOT {_PLAIN_NAME} ORDER BY rowid")

    def other_values(self, naming: Sequence[str], max_chars: int) -> Iterator[tuple[str, int]]:
        """Yield (object, subject) of the naming predicates' values that `plain_aliases` leaves out."""
        sql = f"SELECT object, subject FROM triple WHERE {_NAMING} AND NOT {_PLAIN_OBJECT} ORDER BY rowid"
        yield from self._rows(sql, [list(naming), max_chars])

    def distinct_plain_names(self) -> Iterator[tuple[str, int]]:
        """Yield each plain name once, with the first entity that has it."""
        yield from self._rows(f"SELECT name, min(rowid) FROM entity WHERE {_PLAIN_NAME} GROUP BY name")

    def other_objects(self, max_chars: int) -> Iterator[str]:
        """Yield the distinct objects that are short enough to be names and need normalising."""
        sql = f"SELECT DISTINCT object FROM triple WHERE length(object) <= $1 AND NOT {_PLAIN_OBJECT}"
        yield from (name for (name,) in self._rows(sql, [max_chars]))

    def write_attributes(self, names: Mapping[str, str]) -> list[tuple[str, int]]:
        """Fill `attribute` from a map of predicate as written to normalised; returns its rows (name, triples)."""
        with spelling(self._connection, names):
            self._connection.execute(_ATTRIBUTES)
        return [(name, triples) for name, triples in self._all("SELECT name, triples FROM attribute ORDER BY rowid")]

    def _rows(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        yield from fetch_rows(self._connection.cursor().execute(sql, parameters))

    def _all(self, sql: str) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql).fetchall()

    def _one(self, sql: str) -> tuple[int, ...]:
        return self._all(sql)[0]


@contextmanager
def spelling(connection: DuckDBPyConnection, names: Mapping[str, str]) -> Iterator[None]:
    """Let SQL see a map from texts as written to normalised ones as the table `spelling(written, name)`."""
    # The last one keeps the columns from being empty, which would give them another type.
    arrays = {
        "written": np.array([*names.keys(), ""], dtype=object),
        "name": np.array([*names.values(), ""], dtype=object),
    }
    with registered(connection, "spelling", arrays):
        yield


def fetch_rows(cursor: DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of an executed query, some at a time in memory."""
    while rows := cursor.fetchmany(FETCH_ROWS):
        yield from rows
