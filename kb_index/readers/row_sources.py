"""Rows and frames from Python into `raw`; they are known by a fingerprint of what was loaded."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from kb_index.errors import TripleFileError
from kb_index.readers.python_rows import ROWS_EXPECTED, python_rows, table_rows
from kb_index.readers.raw_table import insert_query
from kb_index.readers.row_chunks import Row, insert_rows
from kb_index.readers.sources import ReadOptions, SourceFile
from kb_index.readers.tables import frame

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["RowLoader"]

_HASHED_ROWS = 1 << 16

_ROWS = "SELECT min(rowid), max(rowid) + 1 FROM raw WHERE file = $1"

_TEXT = """
    SELECT string_agg(concat_ws(chr(31), subject, predicate, object, extra, text), chr(10) ORDER BY rowid) || chr(10)
    FROM raw WHERE rowid >= $1 AND rowid < $2
"""


@dataclass(frozen=True)
class RowLoader:
    """Loads a frame, a mapping of columns, or rows as the source number `number`, called `name`."""

    number: int
    name: str
    rows: Any
    options: ReadOptions

    def load(self, connection: DuckDBPyConnection, on_bytes: Callable[[int], object]) -> SourceFile:  # noqa: ARG002
        """Append the rows to `raw`; `on_bytes` is told nothing.

        Raises:
            TripleFileError: a column is missing or is no text, or over half of the first 1,000 rows are no triples.
        """
        number, name, columns = self.number, self.name, self.options.columns
        if _is_frame(self.rows) and _is_typed(self.rows):
            connection.register("frame", self.rows)
            try:
                insert_query(connection, number, name, frame(connection, name, columns))
            finally:
                connection.unregister("frame")
        else:
            insert_rows(connection, number, name, _rows(name, self.rows, columns), ROWS_EXPECTED)
        return SourceFile(name, *_fingerprint(connection, number))


def _is_frame(rows: Any) -> bool:
    return type(rows).__module__.partition(".")[0] in ("pandas", "polars") and hasattr(rows, "columns")


def _is_typed(table: Any) -> bool:
    """Say whether DuckDB can read a frame as it is: polars needs pyarrow for that, and pandas columns of one type."""
    if type(table).__module__.startswith("polars"):
        return find_spec("pyarrow") is not None
    return not any(isinstance(dtype, np.dtype) and dtype.hasobject for dtype in table.dtypes)


def _rows(name: str, rows: Any, columns: tuple[str, str, str] | None) -> Iterator[Row]:
    if _is_frame(rows):
        tuples = rows.iter_rows() if hasattr(rows, "iter_rows") else rows.itertuples(index=False, name=None)
        return table_rows(name, [str(column) for column in rows.columns], tuples, columns)
    if isinstance(rows, Mapping):
        lengths = {len(values) for values in rows.values()}
        if len(lengths) > 1:
            listed = " and ".join(map(str, sorted(lengths)))
            raise TripleFileError(f"{name}: columns of {listed} values; expected as many in each")
        return table_rows(name, [str(column) for column in rows], zip(*rows.values(), strict=True), columns)
    if not isinstance(rows, Iterable):
        raise TripleFileError(f"{name}: a value of type {type(rows).__name__}; expected a path, a frame, or rows")
    return python_rows(rows, columns)


def _fingerprint(connection: DuckDBPyConnection, number: int) -> tuple[str, int]:
    """Give the SHA-256 and the size in bytes of the rows' text."""
    digest, size = hashlib.sha256(), 0
    ((first, end),) = connection.execute(_ROWS, [number]).fetchall()
    for start in range(first, end, _HASHED_ROWS):
        ((text,),) = connection.execute(_TEXT, [start, min(start + _HASHED_ROWS, end)]).fetchall()
        digest.update(text.encode())
        size += len(text.encode())
    return digest.hexdigest(), size
