"""Which columns of a table are subject, predicate and object, by their names."""

from __future__ import annotations

from collections.abc import Sequence

from kb_index.errors import TripleFileError

__all__ = ["DEFAULT_COLUMNS", "distinct_names", "find_columns", "require_columns"]

DEFAULT_COLUMNS = ("subject", "predicate", "object")


def find_columns(names: Sequence[str], columns: tuple[str, str, str] | None) -> tuple[int, int, int] | None:
    """Give the positions of subject, predicate and object, from 0; None if one is missing.

    >>> find_columns(["id", "Subject", "PREDICATE", "object"], None)
    (1, 2, 3)
    """
    found = [_position(names, wanted) for wanted in columns or DEFAULT_COLUMNS]
    return (found[0], found[1], found[2]) if min(found) >= 0 else None


def _position(names: Sequence[str], wanted: str) -> int:
    """Take the name as it is before one that differs in case."""
    if wanted in names:
        return names.index(wanted)
    folded = [name.casefold() for name in names]
    return folded.index(wanted.casefold()) if wanted.casefold() in folded else -1


def require_columns(path: str, names: Sequence[str], columns: tuple[str, str, str] | None) -> tuple[int, int, int]:
    """Give the positions as `find_columns` does.

    Raises:
        TripleFileError: one is missing; lists the names that are there.
    """
    found = find_columns(names, columns)
    if found is None:
        raise TripleFileError(
            f"{path}: no columns {', '.join(columns or DEFAULT_COLUMNS)}; it has {', '.join(names) or 'none'}; "
            "name the three that are subject, predicate and object with --columns s,p,o, or give the file a header"
        )
    return found


def distinct_names(names: Sequence[str]) -> list[str]:
    """Name every column, and no two alike.

    >>> distinct_names(["a", "", "a"])
    ['a', 'column2', 'a_2']
    """
    distinct: list[str] = []
    for position, name in enumerate(names, 1):
        new, copies = name or f"column{position}", 1
        while new in distinct:
            copies += 1
            new = f"{name or 'column'}_{copies}"
        distinct.append(new)
    return distinct
