"""Rows that a Python program hands over: tuples of three, or mappings with the columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from kb_index.readers.row_chunks import Row
from kb_index.readers.values import UnusableValueError, as_text, extra_json
from kb_index.readers.wanted_columns import DEFAULT_COLUMNS, distinct_names, find_columns, require_columns

__all__ = ["ROWS_EXPECTED", "python_rows", "table_rows"]

ROWS_EXPECTED = "expected tuples of three, or mappings with subject, predicate and object (or the columns named)"


def python_rows(rows: Iterable[object], columns: tuple[str, str, str] | None) -> Iterator[Row]:
    """Yield each row as text, numbered from 1; one that cannot be a triple has a reason."""
    for number, row in enumerate(rows, 1):
        try:
            yield Row(number, *_row(row, columns))
        except UnusableValueError as error:
            yield Row(number, None, None, None, None, str(error), repr(row).encode("utf-8", "replace").decode())


def table_rows(
    name: str, names: Sequence[str], rows: Iterable[Sequence[object]], columns: tuple[str, str, str] | None
) -> Iterator[Row]:
    """Yield the rows of a table with columns of these names, as `python_rows` does.

    Raises:
        TripleFileError: a column is missing; it speaks of the table as `name`.
    """
    wanted = require_columns(name, names, columns)
    named = distinct_names(names)
    order = tuple(named[i] for i in wanted)
    yield from python_rows((dict(zip(named, row, strict=True)) for row in rows), (order[0], order[1], order[2]))


def _row(row: object, columns: tuple[str, str, str] | None) -> tuple[str, str, str, str | None]:
    if isinstance(row, Mapping):
        return _mapping(row, columns)
    if not isinstance(row, Sequence) or isinstance(row, str | bytes):
        raise UnusableValueError(f"expected a tuple of three or a mapping, got {type(row).__name__}")
    if len(row) != len(DEFAULT_COLUMNS):
        raise UnusableValueError(f"expected 3 values, got {len(row)}")
    subject, predicate, object_ = (_text(name, value) for name, value in zip(DEFAULT_COLUMNS, row, strict=True))
    return subject, predicate, object_, None


def _mapping(row: Mapping[object, object], columns: tuple[str, str, str] | None) -> tuple[str, str, str, str | None]:
    names = [str(name) for name in row]
    wanted = find_columns(names, columns)
    if wanted is None:
        raise UnusableValueError(f"one of the columns is missing, it has {', '.join(names) or 'none'}")
    texts = [_text(name, value) for name, value in zip(names, row.values(), strict=True)]
    extra = extra_json((as_text(names[i]), text) for i, text in enumerate(texts) if i not in wanted)
    subject, predicate, object_ = (texts[i] for i in wanted)
    return subject, predicate, object_, extra


def _text(name: str, value: object) -> str:
    try:
        return as_text(value)
    except UnusableValueError as error:
        raise UnusableValueError(f"the {name} is {error}, expected text, a number or a date") from None
