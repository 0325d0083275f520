"""One chunk of the sources, read by the readers of any index and divided among the shards.

The triples of a subject all go to one shard, by the MD5 of its identity, which every machine and version has
alike. They are written in their order, one Parquet file for each shard and each run of parts that follow one another.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from kb_index.atomic import replacing_folder
from kb_index.errors import TripleFileError
from kb_index.layer_build import new_database
from kb_index.readers.byte_pass import CHUNK_BYTES
from kb_index.readers.file_loader import FileLoader, Stretch
from kb_index.readers.load import load_all
from kb_index.readers.raw_table import create_raw_table
from kb_index.readers.remote import is_url
from kb_index.readers.row_sources import RowLoader
from kb_index.readers.sources import ReadOptions, SourceFile
from kb_index.shards.files import describe_source, file_stamp, opened
from kb_index.shards.layout import shard_name
from kb_index.shards.partition import Chunk, Part, Span
from kb_index.shards.work import REPORT_FILE, Work, quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["ChunkReport", "ReadTask", "read_chunk", "read_report"]

REJECTS = "rejects.parquet"

_SHARDS = """
    ALTER TABLE raw ADD COLUMN shard UINTEGER;
    UPDATE raw SET shard = md5_number_lower(coalesce(key, subject)) % {} WHERE reason IS NULL
"""

_PIECE = """
    COPY (SELECT file, rowid AS place, subject, predicate, object, key, extra FROM raw
          WHERE shard = {} AND file BETWEEN {} AND {}) TO {} (FORMAT parquet)
"""

_REJECTS = """
    COPY (SELECT file, line_number, reason, text FROM raw WHERE reason IS NOT NULL ORDER BY file, line_number)
    TO {} (FORMAT parquet)
"""


class ReadTask(NamedTuple):
    """A chunk to be read for an index that grows in `folder`."""

    folder: Path
    chunk: Chunk
    n_shards: int
    options: ReadOptions


@dataclass(frozen=True)
class ChunkReport:
    """What was in a chunk: lines that are not blank, all lines of each stretch by its part, and sources by number."""

    lines: int
    stretch_lines: dict[int, int]
    sources: dict[int, SourceFile]


def read_chunk(task: ReadTask) -> None:
    """Write the triples of a chunk by shard, its bad lines and its report.

    Raises:
        InputError: the memory limit is no size, or too little.
        TripleFileError: a source is damaged, in another format, or changed since it was divided.
        StorageError: the disk is full, or the folder cannot be written.
    """
    with replacing_folder(Work(task.folder).chunk(task.chunk.number), holds=REPORT_FILE) as folder:
        with new_database(folder, task.options.memory_limit, task.options.threads) as connection:
            create_raw_table(connection)
            report = _Chunk(connection, task, folder).read()
        (folder / "kb.duckdb").unlink()
        (folder / "spill").rmdir()
        (folder / REPORT_FILE).write_text(json.dumps(vars(report)), encoding="utf-8")


def read_report(index: Path, chunk: Chunk) -> ChunkReport | None:
    """Give the report of a chunk; None while it is not read."""
    path = Work(index).chunk(chunk.number) / REPORT_FILE
    if not path.is_file():
        return None
    content = json.loads(path.read_text(encoding="utf-8"))
    lines = {int(part): n for part, n in content["stretch_lines"].items()}
    sources = {int(source): SourceFile(*of) for source, of in content["sources"].items()}
    return ChunkReport(content["lines"], lines, sources)


class _Chunk:
    """A chunk on its way through the table `raw` into `folder`."""

    def __init__(self, connection: DuckDBPyConnection, task: ReadTask, folder: Path) -> None:
        self._connection, self._task, self._folder = connection, task, folder
        self._stretch_lines: dict[int, int] = {}

    def read(self) -> ChunkReport:
        parts = self._task.chunk.parts
        _check_unchanged(parts)
        loaders = [self._loader(part) for part in parts]
        read = load_all(self._connection, loaders, lambda _: None)
        sources = {
            part.source: describe_source(part.path)._replace(path=part.name) if part.span else source
            for part, source in zip(parts, read, strict=True)
            if not (part.span and part.span.start)
        }
        _check_unchanged(parts)
        self._write()
        ((lines,),) = self._connection.execute("SELECT count(*) FROM raw").fetchall()
        for part in self._stretch_lines:
            self._stretch(part).unlink()
        return ChunkReport(lines, self._stretch_lines, sources)

    def _loader(self, part: Part) -> FileLoader | RowLoader:
        if part.rows is not None:
            return RowLoader(part.number, part.name, part.rows, self._task.options)
        options, spill = replace(self._task.options, format=part.format), self._folder / "spill"
        stretch = self._copied(part, part.span) if part.span else _where_it_lies(part)
        name = part.path if is_url(part.path) else part.name
        return FileLoader(part.number, name, options, spill, stretch)

    def _copied(self, part: Part, span: Span) -> Stretch:
        path = self._stretch(part.number)
        with opened(part.path) as file, path.open("wb") as copy:
            copy.write(span.header)
            file.seek(span.start)
            self._stretch_lines[part.number] = 0
            for piece in _pieces(file, part.bytes):
                copy.write(piece)
                self._stretch_lines[part.number] += piece.count(b"\n") + piece.count(b"\r") - piece.count(b"\r\n")
        return Stretch(path, is_start=span.start == 0)

    def _stretch(self, part: int) -> Path:
        return self._folder / "spill" / f"stretch-{part}"

    def _write(self) -> None:
        self._connection.execute(_SHARDS.format(self._task.n_shards))
        numbers = [part.number for part in self._task.chunk.parts]
        for _, run in groupby(enumerate(numbers), key=lambda at: at[1] - at[0]):
            first, *rest = (number for _, number in run)
            for shard in range(self._task.n_shards):
                path = self._folder / f"{first:07}.{shard_name(shard)}.parquet"
                self._connection.execute(_PIECE.format(shard, first, (rest or [first])[-1], quoted(path)))
        self._connection.execute(_REJECTS.format(quoted(self._folder / REJECTS)))


def _where_it_lies(part: Part) -> Stretch | None:
    """Give the path of a whole file: what the user called it may be seen from another folder."""
    return Stretch(Path(part.path), is_start=True) if part.stamp and not is_url(part.path) else None


def _pieces(file: BinaryIO, size: int) -> Iterator[bytes]:
    while size > 0 and (piece := file.read(min(size, CHUNK_BYTES))):
        if piece.endswith(b"\r") and len(piece) < size:
            piece += file.read(1)  # a line's end is not torn apart
        size -= len(piece)
        yield piece


def _check_unchanged(parts: tuple[Part, ...]) -> None:
    for part in parts:
        if part.stamp and file_stamp(part.path) != part.stamp:
            raise TripleFileError(f"{part.name}: changed while it was read; wait until it is written, then run again")
