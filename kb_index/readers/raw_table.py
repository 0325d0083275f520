"""The temporary table `raw` that every format is loaded into, and the rules for values that all formats share.

    raw(file, line_number, subject, predicate, object, key, extra, reason, text)

`reason` is null for a triple; else `text` holds the beginning of the line. `key` is the subject's identity where that
is not its name, and `extra` a JSON object of further columns, all of them text. A value has no control character and no
line break (each run of them becomes one blank), and nothing at its ends that Python's str.strip() would take off.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from kb_index.array_tables import registered
from kb_index.atomic import is_full
from kb_index.errors import TripleFileError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = [
    "INSERT_LINES",
    "REJECT_CHARS",
    "SAMPLE_LINES",
    "Query",
    "Reject",
    "create_raw_table",
    "insert_query",
    "insert_rejects",
    "readable",
    "refuse_if_mostly_bad",
]

SAMPLE_LINES = 1000
"""A file is refused when over half of its first so many lines are no triples."""

REJECT_CHARS = 200
"""A rejected line is kept up to this many characters."""

# DuckDB's trim() takes off blanks only, and is many times faster than a regular expression: only a value with one of
# the rarer characters (`is_odd`) is given to one.
_MACROS = r"""
    CREATE TEMP MACRO is_odd(text) AS regexp_matches(
        text, '[\x{0}-\x{1f}\x{7f}-\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}\x{feff}]'
    );
    CREATE TEMP MACRO mended(text) AS regexp_replace(
        regexp_replace(text, '[\p{Cc}\x{2028}\x{2029}]+', ' ', 'g'),
        '^[\s\pZ\x{feff}]+|[\s\pZ\x{feff}]+$', '', 'g'
    );
    CREATE TEMP MACRO part(text, odd) AS CASE
        WHEN odd THEN mended(text) WHEN starts_with(text, ' ') OR ends_with(text, ' ') THEN trim(text) ELSE text END;
    CREATE TEMP MACRO cleaned(text) AS part(text, is_odd(text));
    CREATE TEMP MACRO value_reason(name, value) AS CASE
        WHEN value IS NULL OR value = '' THEN 'the ' || name || ' is empty'
        WHEN strlen(value) > 1048576
        THEN 'the ' || name || ' has ' || strlen(value) || ' bytes, expected at most 1 MiB' END;
    CREATE TEMP MACRO triple_reason(subject, predicate, object, extra) AS coalesce(
        value_reason('subject', subject), value_reason('predicate', predicate), value_reason('object', object),
        CASE WHEN strlen(extra) > 1048576 THEN value_reason('text of the extra columns', extra) END
    );
    CREATE TEMP MACRO json_pairs(pairs) AS '{' || nullif(array_to_string(pairs, ','), '') || '}';
    CREATE TEMP MACRO json_pair(name, value) AS to_json(name)::VARCHAR || ':' || to_json(value)::VARCHAR;
    CREATE TEMP TABLE raw (
        file UINTEGER, line_number BIGINT, subject VARCHAR, predicate VARCHAR, object VARCHAR, key VARCHAR,
        extra VARCHAR, reason VARCHAR, text VARCHAR
    );
"""

INSERT_LINES = f"""
    INSERT INTO raw
    SELECT file, line_number, CASE WHEN reason IS NULL THEN subject END, CASE WHEN reason IS NULL THEN predicate END,
           CASE WHEN reason IS NULL THEN object END, CASE WHEN reason IS NULL THEN key END,
           CASE WHEN reason IS NULL THEN extra END, reason,
           CASE WHEN reason IS NOT NULL THEN left(line, {REJECT_CHARS}) END
    FROM ({{}})
"""
"""A template of SQL: appends rows of all columns of `raw`, with `line` for `text`, a line in whole."""

_INSERT = INSERT_LINES.format("SELECT $file AS file, NULL AS line_number, NULL AS key, * FROM ({})")

_SAMPLE = f"""
    SELECT line_number, reason FROM (SELECT row_number() OVER () AS line_number, reason FROM ({{}}))
    WHERE coalesce(reason != '', true) AND line_number != $header LIMIT {SAMPLE_LINES}
"""

# Rows lie in the order of lines. To number them while they are read would keep DuckDB to one thread.
_NUMBER = """
    UPDATE raw SET line_number = rowid + 1 - (SELECT min(rowid) FROM raw WHERE line_number IS NULL)
    WHERE line_number IS NULL
"""

_DELETE = "DELETE FROM raw WHERE file = $1 AND (reason = '' OR line_number = $2)"


class Reject(NamedTuple):
    """A line that is no triple, with the reason and its beginning."""

    line_number: int
    reason: str
    text: str


class Query(NamedTuple):
    """SQL that gives `subject, predicate, object, extra, line, reason` of all lines of a file, in order.

    `reason` is null for a triple, and empty for a line that does not count.
    """

    sql: str
    parameters: dict[str, Any]
    expected: str  # the end of an error's message: what a line should be
    nothing: str = "nothing but blank lines"  # what a source without any line has
    header: int = 0  # the number of a line that does not count


def create_raw_table(connection: DuckDBPyConnection) -> None:
    """Make an empty `raw` and the macros; DuckDB is kept from fetching extensions, all that is needed is built in."""
    connection.execute("SET autoinstall_known_extensions = false")
    connection.execute(_MACROS)


def insert_query(connection: DuckDBPyConnection, file: int, path: str, query: Query, *, is_start: bool = True) -> None:
    """Append the lines of a file, or of a stretch of one; whether they are triples is judged at the start of a file.

    Raises:
        TripleFileError: DuckDB cannot read it, or over half of the first 1,000 lines are no triples.
    """
    with readable(path, query.expected):
        if is_start:
            _judge(connection, path, query)
        connection.execute(_INSERT.format(query.sql), query.parameters | {"file": file})
        connection.execute(_NUMBER)
        connection.execute(_DELETE, [file, query.header])


def _judge(connection: DuckDBPyConnection, path: str, query: Query) -> None:
    rows = connection.execute(_SAMPLE.format(query.sql), query.parameters | {"header": query.header}).fetchall()
    bad = [row for row in rows if row[1] is not None]
    refuse_if_mostly_bad(path, bad, len(rows), query.expected, query.nothing)


def insert_rejects(connection: DuckDBPyConnection, file: int, rejects: Iterable[Reject]) -> None:
    """Append lines that Python found to be no triples."""
    rows = list(rejects)
    if not rows:
        return
    columns = {
        "line_number": np.array([row.line_number for row in rows], dtype=np.int64),
        "reason": np.array([row.reason for row in rows], dtype=object),
        "text": np.array([row.text[:REJECT_CHARS] for row in rows], dtype=object),
    }
    sql = "INSERT INTO raw SELECT $1, line_number, NULL, NULL, NULL, NULL, NULL, reason, text FROM rejects"
    with registered(connection, "rejects", columns):
        connection.execute(sql, [file])


def refuse_if_mostly_bad(
    path: str, bad: list[tuple[int, str]], n_lines: int, expected: str, nothing: str = "nothing but blank lines"
) -> None:
    """Raise a `TripleFileError` when over half of the first `n_lines` lines, or all of none, are no triples."""
    if not n_lines:
        raise TripleFileError(f"{path}: {nothing}; {expected}")
    if 2 * len(bad) > n_lines:
        number, reason = bad[0]
        raise TripleFileError(
            f"{path}: {len(bad)} of the first {n_lines} lines are no triples (line {number}: {reason}); {expected}"
        )


@contextmanager
def readable(path: str, expected: str) -> Iterator[None]:
    """Turn what DuckDB says about a file into a `TripleFileError`; a full disk is another matter."""
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        if is_full(error) or isinstance(error, duckdb.OutOfMemoryException):
            raise
        reason = str(error).split("\n", 1)[0]
        raise TripleFileError(f"{path}: cannot be read ({reason}); {expected}") from error
