"""Columns of an index as flat, memory-mapped files: numbers as `.npy`, texts as `.txt` with a `.npy` of offsets.

A look-up of some rows costs microseconds, whatever the number of rows, and processes share the memory. The files are
made from DuckDB tables. No value holds a line feed (the readers see to that), so several of them can be one text.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from os import SEEK_END
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["TextColumn", "fetch_columns", "open_numbers", "save_numbers", "save_texts"]

FETCH_ROWS = 4_000_000
"""So many rows are fetched from DuckDB at a time, which bounds the memory."""


class TextColumn:
    """Texts by row number; safe to use from several threads."""

    def __init__(self, starts: NDArray[Any], texts: bytes | mmap.mmap) -> None:
        self._starts = starts
        self._texts = texts

    @classmethod
    def open(cls, path: Path) -> TextColumn:
        """Map the files `path.txt` and `path.npy`."""
        with path.with_suffix(".txt").open("rb") as file:
            empty = file.seek(0, SEEK_END) == 0
            texts = b"" if empty else mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return cls(open_numbers(path), texts)

    def __len__(self) -> int:
        return len(self._starts) - 1

    def __getitem__(self, row: int) -> str:
        return self._texts[int(self._starts[row]) : int(self._starts[row + 1]) - 1].decode()


def open_numbers(path: Path) -> NDArray[Any]:
    """Map the file `path.npy`."""
    return np.asarray(np.load(path.with_suffix(".npy"), mmap_mode="r"))


def save_numbers(path: Path, numbers: NDArray[Any]) -> None:
    """Write `path.npy`, with four bytes a number unless the last of ascending ones needs eight."""
    wide = len(numbers) > 0 and int(numbers[-1]) >= 1 << 32
    with path.with_suffix(".npy").open("wb") as file:
        np.save(file, numbers.astype(np.uint64 if wide else np.uint32, copy=False))


def save_texts(connection: DuckDBPyConnection, table: str, text: str, path: Path, rows: NDArray[Any]) -> None:
    """Write a text of each row of a table, in order, as `path.txt` and `path.npy`.

    `rows` (n_rows + 1,) says where each row of the column begins in the table, ascending from 0 to the table's length:
    the texts of several rows of the table become one, with a line feed between them.
    """
    # Quotes, escapes and null texts off: the file holds the bytes of the values and a line feed after each.
    target = str(path.with_suffix(".txt")).replace("'", "''")
    connection.execute(
        f"COPY (SELECT {text} FROM {table} ORDER BY rowid) TO '{target}' "
        "(FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER '\x01')"
    )
    starts = np.zeros(len(rows), dtype=np.uint64)
    n_read, n_bytes = 0, 0
    for (sizes,) in fetch_columns(connection, f"strlen({text}) + 1", table):
        ends = np.cumsum(sizes, dtype=np.uint64) + np.uint64(n_bytes)
        here = slice(*np.searchsorted(rows, [n_read + 1, n_read + len(sizes) + 1]))
        starts[here] = ends[rows[here] - n_read - 1]
        n_read, n_bytes = n_read + len(sizes), int(ends[-1])
    save_numbers(path, starts)


def fetch_columns(
    connection: DuckDBPyConnection, columns: str, table: str, where: str = "true"
) -> Iterator[tuple[NDArray[Any], ...]]:
    """Yield columns of a table (perhaps joined to smaller ones) as arrays, range by range in the order of rows."""
    first = table.split(maxsplit=1)[0]
    ((n_rows,),) = connection.execute(f"SELECT count(*) FROM {first}").fetchall()
    sql = (
        f"SELECT {columns} FROM {table} "
        f"WHERE {first}.rowid >= $1 AND {first}.rowid < $2 AND {where} ORDER BY {first}.rowid"
    )
    for start in range(0, n_rows, FETCH_ROWS):
        found = connection.execute(sql, [start, start + FETCH_ROWS]).fetchnumpy()
        yield tuple(np.ma.filled(column) for column in found.values())
