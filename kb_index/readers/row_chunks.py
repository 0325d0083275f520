"""Rows that Python has read, brought into `raw` in chunks of columns."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kb_index.array_tables import registered
from kb_index.readers.raw_table import INSERT_LINES, SAMPLE_LINES, refuse_if_mostly_bad

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["Row", "insert_rows"]

CHUNK_ROWS = 100_000

# Registered columns of nothing but None have another type than text.
_INSERT = INSERT_LINES.format("""
    SELECT * REPLACE (coalesce(reason, triple_reason(subject, predicate, object, extra)) AS reason),
           coalesce(text, concat_ws(' ||| ', subject, predicate, object)) AS line
    FROM (
        SELECT $file AS file, line_number, cleaned(subject::VARCHAR) AS subject,
               cleaned(predicate::VARCHAR) AS predicate, cleaned(object::VARCHAR) AS object, NULL AS key,
               extra::VARCHAR AS extra, reason::VARCHAR AS reason, text::VARCHAR AS text
        FROM row_chunk
    )
""")


class Row(NamedTuple):
    """A row; `reason` says why it is no triple where that is known already, and `text` what it was."""

    line_number: int
    subject: str | None
    predicate: str | None
    object: str | None
    extra: str | None = None
    reason: str | None = None
    text: str | None = None


def insert_rows(connection: DuckDBPyConnection, file: int, path: str, rows: Iterable[Row], expected: str) -> None:
    """Append rows.

    Raises:
        TripleFileError: there are none, or over half of the first 1,000 are no triples.
    """
    unread, is_first = iter(rows), True
    while (chunk := list(islice(unread, SAMPLE_LINES if is_first else CHUNK_ROWS))) or is_first:
        if chunk:
            _insert(connection, file, chunk)
        if is_first:
            _check(connection, file, path, expected)
        is_first = False


def _insert(connection: DuckDBPyConnection, file: int, rows: list[Row]) -> None:
    numbers, *texts = zip(*rows, strict=True)
    columns = {"line_number": np.array(numbers, dtype=np.int64)}
    for name, values in zip(Row._fields[1:], texts, strict=True):
        columns[name] = np.array(values, dtype=object)
    with registered(connection, "row_chunk", columns):
        connection.execute(_INSERT, {"file": file})


def _check(connection: DuckDBPyConnection, file: int, path: str, expected: str) -> None:
    sql = "SELECT line_number, reason FROM raw WHERE file = $1 ORDER BY line_number"
    rows = connection.execute(sql, [file]).fetchall()
    refuse_if_mostly_bad(path, [row for row in rows if row[1] is not None], len(rows), expected, "no rows")
