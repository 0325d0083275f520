"""Sources of triples into a DuckDB table, with every line that is no triple set aside with its number and a reason.

Formats: NLPCC lines, TSV, CSV, JSON lines, Parquet, N-Triples and Turtle, the text ones packed or not; data frames and
rows from Python. A format is one SQL query over the file where DuckDB can read it, and chunks of columns elsewhere.
Nothing is normalised here but blanks and control characters (`raw_table.py`), and duplicates are kept.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from os import stat_result
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from kb_index.byte_pass import read_bytes
from kb_index.compression import compression_of, unpack
from kb_index.errors import TripleFileError
from kb_index.line_formats import NLPCC_EXPECTED, nlpcc
from kb_index.mending import mend
from kb_index.raw_table import create_raw_table, insert_query, insert_rejects
from kb_index.sources import STDIN, NamedFile, NamedRows, Source, check_file, resolve

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["ReadOptions", "Source", "SourceFile", "create_reader", "load_sources", "total_bytes"]


@dataclass(frozen=True)
class ReadOptions:
    """How to read: a format's name or `auto`, and the names of the columns that are subject, predicate and object."""

    format: str = "auto"
    columns: tuple[str, str, str] | None = None


class SourceFile(NamedTuple):
    """A source as it was read; `bytes` is its size, packed if it is. Rows from Python are called `<rows 1>`."""

    path: str
    sha256: str
    bytes: int


def create_reader(connection: DuckDBPyConnection) -> None:
    """Make the temporary table `raw` of lines in the order of sources and lines; `reason` is null for a triple."""
    create_raw_table(connection)


def total_bytes(sources: Sequence[Source]) -> int:
    """Say what `load_sources` will tell `on_bytes` in all, as far as it is known before."""
    paths = (Path(source.path) for source in resolve(sources) if isinstance(source, NamedFile))
    return sum(2 * path.stat().st_size for path in paths if path.is_file())


def load_sources(
    connection: DuckDBPyConnection,
    sources: Sequence[Source],
    options: ReadOptions,
    spill: Path,
    on_bytes: Callable[[int], object],
) -> list[SourceFile]:
    """Append every line that is not blank to `raw`, in the order of sources and lines; lists the sources as read.

    `spill` is an existing folder for temporary files. `on_bytes` is told how many bytes were worked on; each byte
    counts twice, when it is checked and when it is loaded.

    Raises:
        TripleFileError: a source is missing, empty, damaged, in another format, or changed while it was read.
    """
    loader = _Loader(connection, options, spill, on_bytes)
    return [loader.load(number, source) for number, source in enumerate(resolve(sources))]


class _Loader:
    """Loads one source after the other."""

    def __init__(
        self, connection: DuckDBPyConnection, options: ReadOptions, spill: Path, on_bytes: Callable[[int], object]
    ) -> None:
        self.connection, self.options, self.spill, self.on_bytes = connection, options, spill, on_bytes

    def load(self, file: int, source: NamedFile | NamedRows) -> SourceFile:
        if isinstance(source, NamedRows):
            raise NotImplementedError
        copies = [self.spill / f"{name}-{file}" for name in ("stdin", "unpacked", "mended")]
        try:
            return self._load_file(file, source.path, *copies)
        except OSError as error:
            if error.filename is not None and Path(error.filename) in copies:
                raise
            raise TripleFileError(f"{source.path}: cannot be read ({error.strerror}); make it readable") from error
        finally:
            for copy in copies:
                with suppress(OSError):
                    copy.unlink(missing_ok=True)

    def _load_file(self, file: int, name: str, stdin: Path, unpacked: Path, mended: Path) -> SourceFile:
        if name == STDIN:
            with stdin.open("wb") as copy:
                shutil.copyfileobj(sys.stdin.buffer, copy)
        else:
            check_file(name)
        path = stdin if name == STDIN else Path(name)
        before = path.stat()
        if before.st_size == 0:
            raise TripleFileError(f"{name}: empty; {NLPCC_EXPECTED}")
        with path.open("rb") as start:
            packed = compression_of(start.read(4))
        if packed:
            sha256 = unpack(path, unpacked, name, self.on_bytes)
        text = unpacked if packed else path
        content = read_bytes(text, (lambda _: None) if packed else self.on_bytes)
        if not content.is_clean:
            rejects = mend(text, mended, name, NLPCC_EXPECTED)
            text = mended
            insert_rejects(self.connection, file, rejects)
        insert_query(self.connection, file, name, nlpcc(text))
        self.on_bytes(before.st_size)
        _check_unchanged(name, path, before)
        return SourceFile(name, sha256 if packed else content.sha256, before.st_size)


def _check_unchanged(name: str, path: Path, before: stat_result) -> None:
    after = path.stat()
    if (after.st_size, after.st_mtime_ns, after.st_ino) != (before.st_size, before.st_mtime_ns, before.st_ino):
        raise TripleFileError(f"{name}: changed while it was read; wait until it is written, then run again")
