"""One file of triples into `raw`: find its format, check and unpack it, and load it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from os import stat_result
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from kb_index.atomic import is_full
from kb_index.errors import TripleFileError
from kb_index.readers.byte_pass import FileBytes, read_bytes
from kb_index.readers.compression import START_BYTES, compression_of, text_start, unpack
from kb_index.readers.delimited import CSV_EXPECTED, TSV_EXPECTED, csv, tsv
from kb_index.readers.formats import FORMAT_BYTES, format_of
from kb_index.readers.json_lines import JSON_EXPECTED, json_lines
from kb_index.readers.line_formats import NLPCC_EXPECTED, nlpcc
from kb_index.readers.mending import mend
from kb_index.readers.quoted_csv import csv_records
from kb_index.readers.raw_table import Query, insert_query, insert_rejects
from kb_index.readers.rdf import insert_rdf, parse_n_triples, parse_turtle
from kb_index.readers.remote import copy_url, is_url, without_keys
from kb_index.readers.row_chunks import insert_rows
from kb_index.readers.sources import STDIN, ReadOptions, SourceFile, check_file
from kb_index.readers.tables import parquet

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["FileLoader", "Stretch"]

_EXPECTED = {"nlpcc": NLPCC_EXPECTED, "tsv": TSV_EXPECTED, "jsonl": JSON_EXPECTED}


class Stretch(NamedTuple):
    """Where to find a file, or a copy of some of its lines; those at its start tell whether it is one of triples."""

    path: Path
    is_start: bool


class FileLoader:
    """Loads the source number `number`, a file that the user calls `name`; `spill` takes copies while it does.

    Given a stretch of the file, it loads that alone, with line numbers of its own; no path is asked of the name then.
    """

    def __init__(
        self, number: int, name: str, options: ReadOptions, spill: Path, stretch: Stretch | None = None
    ) -> None:
        self._number, self._given, self._options = number, name, options
        self._name = without_keys(name)
        self._stretch = stretch
        self._is_start = stretch is None or stretch.is_start
        self._copies = {kind: spill / f"{kind}-{number}" for kind in ("fetched", "unpacked", "mended")}
        self._source: SourceFile | None = None

    def is_graph(self) -> bool:
        """Say whether it is RDF, which must be parsed with all other graphs before it can be loaded."""
        with self._described():
            return self._format in ("ntriples", "turtle")

    def parse(self, connection: DuckDBPyConnection, on_bytes: Callable[[int], object]) -> None:
        """Parse RDF."""
        with self._described(), self._unchanged():
            text, content = self._text(on_bytes)
            parse = parse_turtle if self._format == "turtle" else parse_n_triples
            parse(connection, text, self._number, self._name)
        self._finish(content, on_bytes)

    def load(self, connection: DuckDBPyConnection, on_bytes: Callable[[int], object]) -> SourceFile:
        """Append the lines to `raw`."""
        if self._source is not None:
            insert_rdf(connection, self._number)
            return self._source
        with self._described(), self._unchanged():
            text, content = self._text(on_bytes)
            self._insert(connection, text, content)
        return self._finish(content, on_bytes)

    def clean_up(self) -> None:
        """Delete the copies."""
        for copy in self._copies.values():
            with suppress(OSError):
                copy.unlink(missing_ok=True)

    def _finish(self, content: FileBytes, on_bytes: Callable[[int], object]) -> SourceFile:
        self.clean_up()
        on_bytes(self._before.st_size)
        self._source = SourceFile(self._name, content.sha256, self._before.st_size)
        return self._source

    @cached_property
    def _path(self) -> Path:
        if self._stretch:
            return self._stretch.path
        fetched = self._copies["fetched"]
        if is_url(self._given):
            copy_url(self._given, fetched)
        elif self._name == STDIN:
            with fetched.open("wb") as copy:
                shutil.copyfileobj(sys.stdin.buffer, copy)
        else:
            return check_file(self._name)
        return fetched

    @cached_property
    def _before(self) -> stat_result:
        return self._path.stat()

    @cached_property
    def _format(self) -> str:
        if self._before.st_size == 0:
            raise TripleFileError(f"{self._name}: empty; {NLPCC_EXPECTED}")
        if self._options.format != "auto":
            return self._options.format
        return format_of(self._name, text_start(self._path, FORMAT_BYTES), self._options.columns)

    def _text(self, on_bytes: Callable[[int], object]) -> tuple[Path, FileBytes]:
        """Give the file or its unpacked copy, and what is in it; the fingerprint is always the file's own."""
        with self._path.open("rb") as file:
            kind = compression_of(file.read(START_BYTES))
        if kind is None:
            return self._path, read_bytes(self._path, on_bytes)
        copy = self._copies["unpacked"]
        sha256 = unpack(self._path, copy, kind, self._name, on_bytes)
        return copy, read_bytes(copy, lambda _: None)._replace(sha256=sha256)

    def _insert(self, connection: DuckDBPyConnection, text: Path, content: FileBytes) -> None:
        columns = self._options.columns
        if self._format == "parquet":
            insert_query(connection, self._number, self._name, parquet(connection, text, self._name, columns))
        elif self._format == "csv" and (content.has_quotes or not content.is_clean):
            insert_rows(connection, self._number, self._name, csv_records(text, self._name, columns), CSV_EXPECTED)
        else:
            if not content.is_clean:
                expected, mended = _EXPECTED[self._format], self._copies["mended"]
                rejects = mend(text, mended, self._name, expected, is_start=self._is_start)
                insert_rejects(connection, self._number, rejects)
                text = mended
            insert_query(connection, self._number, self._name, self._query(text), is_start=self._is_start)

    def _query(self, text: Path) -> Query:
        if self._format == "nlpcc":
            return nlpcc(text)
        if self._format == "jsonl":
            return json_lines(text, self._options.columns)
        return (csv if self._format == "csv" else tsv)(text, self._name, self._options.columns)

    @contextmanager
    def _described(self) -> Iterator[None]:
        """Say of which file an error of the operating system speaks; a full disk is another matter."""
        try:
            yield
        except OSError as error:
            if is_full(error):
                raise
            raise TripleFileError(f"{self._name}: cannot be read ({error.strerror}); make it readable") from error

    @contextmanager
    def _unchanged(self) -> Iterator[None]:
        """Make sure that the file stays the same; any other complaint about one that changes is beside the point."""
        before = self._before
        try:
            yield
        except TripleFileError:
            self._check_unchanged(before)
            raise
        self._check_unchanged(before)

    def _check_unchanged(self, before: stat_result) -> None:
        after = self._path.stat()
        if (after.st_size, after.st_mtime_ns, after.st_ino) != (before.st_size, before.st_mtime_ns, before.st_ino):
            raise TripleFileError(f"{self._name}: changed while it was read; wait until it is written, then run again")
