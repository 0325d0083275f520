"""The SQL of an update: which entities a change touches, what they have to say after it, and what that alters.

Works on `raw`, the lines of the change, and on the databases of the index's layers, attached as `first` and `later`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kb_index.array_tables import create_temp_table
from kb_index.errors import InputError
from kb_index.view import DELTA, View

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["Changes", "Difference"]

_TABLES = """
    CREATE TEMP TABLE touched (id INTEGER);
    CREATE TEMP TABLE live (
        entity INTEGER, position BIGINT, name VARCHAR, key VARCHAR, predicate VARCHAR, object VARCHAR, extra VARCHAR
    );
"""

_KNOWN = """
    SELECT rowid::INTEGER AS id, name, coalesce(key, name) AS identity FROM first.entity
    UNION ALL SELECT id, name, coalesce(key, name) FROM later.entity JOIN later_id ON later_id.row = entity.rowid
    WHERE id >= $1
"""

# Entities that are new get the ids after all others, in the order in which the lines name them.
_SUBJECTS = f"""
    CREATE TEMP TABLE subject AS
    WITH mentioned AS (
        SELECT coalesce(key, subject) AS identity, min(rowid) AS position FROM raw WHERE reason IS NULL GROUP BY 1
    ), known AS ({_KNOWN})
    SELECT identity, known.id IS NULL AS is_new,
           coalesce(known.id, $2 - 1 + row_number() OVER (PARTITION BY known.id IS NULL ORDER BY position)) AS id
    FROM mentioned LEFT JOIN known USING (identity)
"""

_TRIPLES = """
    SELECT {id} AS entity, triple.rowid AS position, entity.name, entity.key, predicate.name AS predicate, object,
           nullif(content, '{{}}') AS extra
    FROM {layer}.triple
    JOIN {layer}.entity ON entity.rowid = triple.subject
    JOIN {layer}.predicate ON predicate.rowid = triple.predicate
    LEFT JOIN {layer}.extra ON extra.triple = triple.rowid
"""
_FIRST = _TRIPLES.format(id="triple.subject", layer="first")
_LATER = _TRIPLES.format(id="later_id.id", layer="later") + "JOIN later_id ON later_id.row = triple.subject"

_TAKE = f"""
    INSERT INTO live {_LATER};
    INSERT INTO live {_FIRST} WHERE triple.subject IN (SELECT id FROM touched)
                              AND triple.subject NOT IN (SELECT id FROM replaced);
    CREATE TEMP TABLE before AS FROM live;
"""

_TAKE_THE_REST = f"""
    INSERT INTO live {_FIRST} WHERE triple.subject NOT IN (SELECT id FROM touched)
                              AND triple.subject NOT IN (SELECT id FROM replaced)
"""

_ADD = """
    INSERT INTO live
    SELECT id, (SELECT count(*) FROM first.triple) + (SELECT count(*) FROM later.triple) + raw.rowid,
           raw.subject, key, predicate, object, extra
    FROM raw JOIN subject ON identity = coalesce(key, raw.subject) WHERE reason IS NULL
"""

_REMOVE = """
    DELETE FROM live USING raw JOIN subject ON identity = coalesce(raw.key, raw.subject)
    WHERE reason IS NULL AND live.entity = subject.id AND live.predicate = raw.predicate AND live.object = raw.object
"""

_FACTS = "SELECT DISTINCT entity, predicate, object FROM"
_DIFFERENCE = f"""
    WITH stated AS (SELECT entity, predicate, object, extra FROM live),
         stated_before AS (SELECT entity, predicate, object, extra FROM before)
    SELECT (SELECT count(*) FROM ({_FACTS} live EXCEPT {_FACTS} before)),
           (SELECT count(*) FROM ({_FACTS} before EXCEPT {_FACTS} live)),
           (SELECT count(*) FROM ((FROM stated EXCEPT FROM stated_before) UNION ALL
                                  (FROM stated_before EXCEPT FROM stated))
            SEMI JOIN live USING (entity, predicate, object) SEMI JOIN before USING (entity, predicate, object))
"""

_BACK_TO_RAW = """
    CREATE TEMP TABLE rejected AS FROM raw WHERE reason IS NOT NULL;
    DELETE FROM raw;
    INSERT INTO raw SELECT 0, position, name, predicate, object, key, extra, NULL, NULL
    FROM live ORDER BY entity, position;
    INSERT INTO raw FROM rejected;
"""


class Difference(NamedTuple):
    """How many triples come and go, and how many statements, with their extra columns, of triples that stay."""

    added: int
    removed: int
    restated: int


class Changes:
    """One update of an open index in a connection that has loaded its lines; the methods are called in this order."""

    def __init__(self, connection: DuckDBPyConnection, index: Path, view: View) -> None:
        self._connection, self._view = connection, view
        connection.execute("ATTACH $1 AS first (READ_ONLY)", [str(index / "kb.duckdb")])
        if view.later:
            connection.execute("ATTACH $1 AS later (READ_ONLY)", [str(index / DELTA / "kb.duckdb")])
        else:
            connection.execute("ATTACH ':memory:' AS later")
            for table in ("entity", "predicate", "triple", "extra"):
                connection.execute(f"CREATE TABLE later.{table} AS FROM first.{table} LIMIT 0")
        connection.execute(_TABLES)
        later = np.array(view.later_ids, dtype=np.int32)
        create_temp_table(connection, "later_id", {"id": later, "row": np.arange(len(later), dtype=np.int32)})
        create_temp_table(connection, "replaced", {"id": np.array(sorted(view.replaced), dtype=np.int32)})
        n_first = view.first.facts.n_entities
        connection.execute(_SUBJECTS, [n_first, max([n_first, *(i + 1 for i in view.later_ids)])])
        connection.execute("INSERT INTO touched SELECT id FROM subject WHERE NOT is_new")

    def add(self) -> Difference:
        """Let the lines be triples to add."""
        self._connection.execute(_TAKE)
        self._connection.execute(_ADD)
        return self._difference()

    def remove(self, subjects: Iterable[str], where: Mapping[str, str]) -> Difference:
        """Let the lines be triples to remove, with all triples of some subjects.

        `where` maps extra columns to values: what lines with all of them stated goes, unless others state it too.

        Raises:
            InputError: several subjects have one of the names, or no line has such a column.
        """
        self._check_columns(where)
        stated = " AND ".join(["json_extract_string({0}, ?) = ?"] * len(where)) or "false"
        values = [part for name, value in where.items() for part in (_pointer(name), value)]
        self._connection.execute(
            f"INSERT INTO touched SELECT subject FROM first.triple JOIN first.extra ON extra.triple = triple.rowid "
            f"WHERE {stated.format('content')}",
            values,
        )
        removed = [entity_id for name in subjects for entity_id in self._subject(name)]
        self._connection.execute("INSERT INTO touched SELECT unnest($1::INTEGER[])", [removed])
        self._connection.execute(_TAKE)
        self._connection.execute(_REMOVE)
        self._connection.execute("DELETE FROM live WHERE entity IN (SELECT unnest($1::INTEGER[]))", [removed])
        self._connection.execute(f"DELETE FROM live WHERE {stated.format('extra')}", values)
        return self._difference()

    def _check_columns(self, names: Iterable[str]) -> None:
        sql = "SELECT DISTINCT unnest(json_keys(content)) AS name FROM (FROM first.extra UNION ALL FROM later.extra)"
        known = {name for (name,) in self._connection.execute(f"{sql} ORDER BY name").fetchall()} if names else set()
        for name in names:
            if known and name not in known:
                raise InputError(f"no line has a column {name!r}; expected one of these: {', '.join(sorted(known))}")

    def _subject(self, name: str) -> list[int]:
        sql = f"WITH known AS ({_KNOWN}) SELECT id, identity FROM known WHERE $2 IN (name, identity)"
        named = self._connection.execute(sql, [self._view.first.facts.n_entities, name.strip()]).fetchall()
        if len(named) > 1:
            keys = ", ".join(identity for _, identity in named)
            raise InputError(f"{len(named)} subjects are called {name!r}; name one of them by its IRI: {keys}")
        return [entity_id for entity_id, _ in named]

    def _difference(self) -> Difference:
        return Difference(*self._connection.execute(_DIFFERENCE).fetchall()[0])

    def take_the_rest(self) -> None:
        """Let the new layer hold what all entities have to say, and not only the changed ones."""
        self._connection.execute(_TAKE_THE_REST)

    def ids(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Give the ids of the new layer's rows, and of the first layer's entities of which no triple is left."""
        rows = self._ids("SELECT DISTINCT entity FROM live ORDER BY entity")
        every = self._ids(
            "SELECT DISTINCT id FROM (FROM touched UNION ALL FROM replaced) WHERE id < $1 ORDER BY id",
            [self._view.first.facts.n_entities],
        )
        return rows, np.setdiff1d(every, rows)

    def _ids(self, sql: str, parameters: Iterable[Any] = ()) -> NDArray[np.int64]:
        (ids,) = self._connection.execute(sql, list(parameters)).fetchnumpy().values()
        return np.ma.filled(ids).astype(np.int64)

    def back_to_raw(self) -> None:
        """Make the table `raw` what the new layer is built from; the rejected lines stay in it."""
        self._connection.execute(_BACK_TO_RAW)


def _pointer(name: str) -> str:
    """A JSON pointer to a key (RFC 6901)."""
    return "/" + name.replace("~", "~0").replace("/", "~1")
