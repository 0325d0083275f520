"""Values from Python as text, by the same rules that `raw_table` has in SQL."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from json.encoder import encode_basestring
from typing import Any
from uuid import UUID

__all__ = ["UnusableValueError", "as_text", "clean", "extra_json", "is_unicode"]

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_BLANKS = "".join(map(chr, (*range(9, 14), *range(28, 33), 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B))))
_ENDS = _BLANKS + "\u2028\u2029\u202f\u205f\u3000\ufeff"

_LARGEST_WHOLE = 1e15


class UnusableValueError(ValueError):
    """A value that cannot become text; the message is what it is instead."""


def clean(text: str) -> str:
    r"""Make each run of control characters and line breaks a blank, and take blanks off the ends.

    >>> clean("\ufeff a\t\nb\u3000")
    'a b'
    """
    return _CONTROL.sub(" ", text).strip(_ENDS)


def as_text(value: object) -> str:
    """Give a value as cleaned text; nothing (None, NaN) is empty text.

    A number is as Python writes it, but a whole float without its `.0`, which a column of whole numbers with gaps
    often is; dates and times are in ISO 8601 with a blank between them, and in UTC where they have a time zone.

    Raises:
        UnusableValueError: it is no text, number, truth value, date or time, or text that is not valid Unicode.

    >>> [as_text(value) for value in (1999.0, 0.5, True, date(2020, 2, 29), None)]
    ['1999', '0.5', 'true', '2020-02-29', '']
    """
    value = _plain(value)
    if isinstance(value, str):
        if not is_unicode(value):
            raise UnusableValueError("text with a lone surrogate")
        return clean(value)
    if value is None or value != value:  # noqa: PLR0124 - only NaN and NaT differ from themselves
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < _LARGEST_WHOLE:
        return str(int(value))
    if isinstance(value, datetime):
        return (value.astimezone(UTC) if value.tzinfo else value).isoformat(" ")
    if isinstance(value, int | float | Decimal | date | time | UUID):
        return str(value)
    raise UnusableValueError(f"a {type(value).__name__}")


def _plain(value: object) -> Any:
    """Turn a NumPy scalar into Python's own, and pandas' NA into None."""
    if type(value).__name__ == "NAType":
        return None
    if type(value).__module__ == "numpy" and getattr(value, "ndim", 1) == 0:
        return value.item()  # type: ignore[attr-defined]
    return value


def is_unicode(text: str) -> bool:
    """Say whether a text can be written in UTF-8: whether it has no lone surrogate."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def extra_json(pairs: Iterable[tuple[str, str]]) -> str | None:
    """Give further columns as a JSON object, without the empty ones; None if all are.

    >>> extra_json([("source", "a.txt"), ("date", "")])
    '{"source":"a.txt"}'
    """
    content = ",".join(f"{encode_basestring(name)}:{encode_basestring(text)}" for name, text in pairs if text)
    return f"{{{content}}}" if content else None
