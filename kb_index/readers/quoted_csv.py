"""CSV files with quotes, which the lines of a file do not divide into records: read by Python's csv module."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from kb_index.errors import TripleFileError
from kb_index.readers.row_chunks import Row
from kb_index.readers.values import clean, extra_json
from kb_index.readers.wanted_columns import distinct_names, require_columns

__all__ = ["csv_records"]

MAX_RECORD_CHARS = 64 << 20
"""A longer value is taken for a quote that was never closed."""


def csv_records(path: Path, name: str, columns: tuple[str, str, str] | None) -> Iterator[Row]:
    """Yield the records after the header, each with the number of its first line.

    Raises:
        TripleFileError: the header lacks a column, or a quote is never closed; it speaks of `name`.
    """
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file, _field_limit():
        records = _records(file, name)
        header = next(records, (0, [], None))[1]
        names = [clean(part) for part in header]
        wanted = require_columns(name, names, columns)
        further = [(i, text) for i, text in enumerate(distinct_names(names)) if i not in wanted]
        for number, record, problem in records:
            reason = problem or _reason(record, len(names))
            if reason is not None:
                text = ",".join(record).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
                yield Row(number, None, None, None, None, reason, text)
                continue
            subject, predicate, object_ = (record[i] for i in wanted)
            extra = extra_json((name, clean(record[i])) for i, name in further) if further else None
            yield Row(number, subject, predicate, object_, extra)


class _Lines:
    """The lines of a file, and the last one that was read."""

    def __init__(self, file: TextIO) -> None:
        self.last = ""
        self._file = file

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        self.last = next(self._file)
        return self.last


def _records(file: TextIO, name: str) -> Iterator[tuple[int, list[str], str | None]]:
    """Yield the number of a record's first line, the record, and None; or its last line, and what is wrong with it."""
    lines = _Lines(file)
    reader = csv.reader(lines, strict=True)
    while True:
        start = reader.line_num + 1
        try:
            record, problem = next(reader), None
        except StopIteration:
            return
        except csv.Error as error:
            if "unexpected end" in str(error) or "field limit" in str(error):
                raise TripleFileError(f"{name}: line {start}: a quote is opened and never closed; close it") from error
            record, problem = [lines.last.rstrip("\r\n")], f"not CSV: {error}"
        if record:
            yield start, record, problem


def _reason(record: list[str], n_columns: int) -> str | None:
    if len(record) != n_columns:
        return f"expected {n_columns} columns, got {len(record)}"
    whole = "".join(record)
    if "\0" in whole:
        return "a zero byte"
    try:
        whole.encode()
    except UnicodeEncodeError:
        return "not UTF-8"
    return None


@contextmanager
def _field_limit() -> Iterator[None]:
    before = csv.field_size_limit(MAX_RECORD_CHARS)
    try:
        yield
    finally:
        csv.field_size_limit(before)
