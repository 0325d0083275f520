"""Text for a terminal: in columns, although a Chinese character takes two cells, and with nothing that steers it."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

__all__ = ["aligned", "clipped", "printable", "width"]

_ABSENT = "\N{REPLACEMENT CHARACTER}"


def printable(text: str) -> str:
    r"""Replace what is no visible character: control characters, also those that turn the direction of writing.

    >>> printable("a\x1b[31m\u202eb")
    'a�[31m�b'
    """
    return "".join(c if c.isprintable() else _ABSENT for c in text)


def width(text: str) -> int:
    """Count the cells that a printable text takes.

    >>> width("中文 abc"), width("e\u0301")
    (8, 1)
    """
    return sum(map(_cells, text))


def _cells(char: str) -> int:
    if unicodedata.category(char) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def clipped(text: str, cells: int) -> str:
    """Shorten a printable text to at most so many cells, with a mark where it goes on.

    >>> clipped("机械设计基础", 8), clipped("机械", 8)
    ('机械设…', '机械')
    """
    if width(text) <= cells:
        return text
    kept, used = "", 0
    for char in text:
        used += _cells(char)
        if used > cells - 1:
            break
        kept += char
    return kept + "…"


def aligned(rows: Sequence[Sequence[str]], right: Sequence[bool], indent: str = "  ") -> list[str]:
    """Lay printable texts out in columns with two blanks between them; `right` says which columns are flush right.

    >>> aligned([["中文", "7"], ["a", "12"]], [False, True])
    ['  中文   7', '  a     12']
    """
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    return [
        (indent + "  ".join(_padded(*cell) for cell in zip(row, widths, right, strict=True))).rstrip() for row in rows
    ]


def _padded(text: str, cells: int, flush_right: bool) -> str:
    blanks = " " * (cells - width(text))
    return blanks + text if flush_right else text + blanks
