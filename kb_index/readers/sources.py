"""What a user names as a source, resolved: files, globs, standard input, data frames and rows from Python."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from kb_index.errors import InputError, TripleFileError
from kb_index.readers.remote import is_url, matching_urls, without_keys
from kb_index.readers.values import is_unicode

__all__ = [
    "STDIN",
    "NamedFile",
    "NamedRows",
    "ReadOptions",
    "Source",
    "SourceFile",
    "check_file",
    "require_sources",
    "resolve",
]

Source: TypeAlias = str | Path | Mapping[str, Sequence[Any]] | Iterable[Any] | Any
"""A file, a URL, a glob or `-`; a pandas or polars frame or a mapping of columns; or rows: tuples or mappings."""

STDIN = "-"


@dataclass(frozen=True)
class ReadOptions:
    """How to read: a format's name or `auto`, and the names of the columns that are subject, predicate and object.

    `memory_limit` is what DuckDB may take (`"3GB"`, `"800MB"`) before it spills to disk, beside the index; `threads` is
    how many of its threads work at once (None: one for each processor).
    """

    format: str = "auto"
    columns: tuple[str, str, str] | None = None
    memory_limit: str = "3GB"
    threads: int | None = None


class SourceFile(NamedTuple):
    """A source as it was read; `bytes` is its size, packed if it is. Rows from Python are called `<rows 1>`.

    A URL is without keys.
    """

    path: str
    sha256: str
    bytes: int


class NamedFile(NamedTuple):
    """A file of triples; `path` is what the user calls it."""

    path: str


class NamedRows(NamedTuple):
    """A frame or rows from Python, called `<rows 1>` and so on."""

    path: str
    rows: Any


def require_sources(sources: Sequence[Source], call: str = "kbqa index FILE... --out DIR") -> None:
    """Make sure that there is a list of at least one source; `call` is the command that the message shows.

    Raises:
        InputError: there is one source and no list, or an empty list.
    """
    if isinstance(sources, str | Path) or not isinstance(sources, Sequence):
        raise InputError("one source where a list of them was expected; put it into brackets: [source]")
    if not sources:
        raise InputError(f"no triple file was given; expected at least one: {call}")


def resolve(sources: Sequence[Source]) -> list[NamedFile | NamedRows]:
    """List the sources in order, each glob as its files in the order of their names.

    Raises:
        TripleFileError: a glob matches nothing, or standard input is named twice.
    """
    resolved: list[NamedFile | NamedRows] = []
    n_rows = 0
    for source in sources:
        if isinstance(source, str | Path):
            resolved += map(NamedFile, _paths(str(source)))
        else:
            n_rows += 1
            resolved.append(NamedRows(f"<rows {n_rows}>", source))
    if resolved.count(NamedFile(STDIN)) > 1:
        raise TripleFileError("-: named twice; standard input can be read once, name it once")
    return resolved


def _paths(path: str) -> Iterator[str]:
    if path == STDIN or not has_magic(path) or Path(path).exists():
        yield path
        return
    matches = matching_urls(path) if is_url(path) else _matching_files(path)
    if not matches:
        raise TripleFileError(f"{without_keys(path)}: no file matches; expected a file or a pattern, check the path")
    yield from matches


def _matching_files(path: str) -> list[str]:
    return sorted(match for match in glob(path, recursive=True) if Path(match).is_file())  # noqa: PTH207 - may be absolute


def check_file(path: str) -> Path:
    """Give the path of a file.

    Raises:
        TripleFileError: there is none, or its name is not UTF-8, so that no manifest could name it.
    """
    if not is_unicode(path):
        raise TripleFileError(f"{path!a}: a file name that is not UTF-8; rename the file")
    if not Path(path).exists():
        raise TripleFileError(f"{path}: no such file; expected a file of triples, check the path")
    if not Path(path).is_file():
        raise TripleFileError(f"{path}: not a file; expected a file of triples, name a file")
    return Path(path)
