"""What is read together: sources in chunks, large files of lines in stretches.

A part is a source, or a stretch of one that ends with a line; parts are numbered in the order of their triples. A chunk
is what one task reads: some small sources, a stretch of a large one, or all graphs, where a label in one may name a
node of another. Only files of lines that stand for themselves are divided (NLPCC, TSV, JSON lines, not packed); a part
of a TSV file is given the header of the whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from kb_index.errors import TripleFileError
from kb_index.readers.compression import START_BYTES, compression_of, unpacked_start
from kb_index.readers.delimited import tsv_header
from kb_index.readers.formats import FORMAT_BYTES, check_format_name, format_of
from kb_index.readers.line_formats import NLPCC_EXPECTED
from kb_index.readers.raw_table import SAMPLE_LINES
from kb_index.readers.remote import is_url, without_keys
from kb_index.readers.sources import STDIN, NamedFile, NamedRows, ReadOptions, Source, resolve
from kb_index.shards.files import FileStamp, file_stamp, opened

__all__ = ["Chunk", "Part", "Span", "partition"]

CHUNK_BYTES = 16 << 20
MAX_CHUNKS = 1000
"""Larger sources are read in larger chunks: each makes a file for every shard."""

MAX_BLANK_LINES = 1000
LINE_BYTES = 1 << 20
"""A longer line is passed over in pieces."""

_LINE_FORMATS = ("nlpcc", "tsv", "jsonl")
_GRAPHS = ("ntriples", "turtle")


class Span(NamedTuple):
    """A stretch of a file, in bytes, and the line that is to be read before it."""

    start: int
    end: int
    header: bytes


@dataclass(frozen=True)
class Part:
    """A source, or a stretch of one, called `name` by the user; `number` is its place among all parts.

    A file is at `path` (absolute, or a URL with its keys, which the name lacks) and was as its stamp says when it was
    divided. Rows from Python and standard input have neither, and no span.
    """

    number: int
    source: int
    name: str
    format: str = "auto"
    path: str = ""
    stamp: FileStamp | None = None
    span: Span | None = None
    rows: Any = None

    @property
    def bytes(self) -> int:
        """How much there is to read, as far as that is known."""
        if self.span:
            return self.span.end - self.span.start
        return self.stamp.size if self.stamp else 0

    @property
    def is_only_here(self) -> bool:
        """Whether no other process can read it: rows from Python, and standard input."""
        return self.stamp is None


@dataclass(frozen=True)
class Chunk:
    """Parts that are read together."""

    number: int
    parts: tuple[Part, ...]

    @property
    def is_only_here(self) -> bool:
        """Whether no other process can read it."""
        return any(part.is_only_here for part in self.parts)


def partition(sources: Sequence[Source], options: ReadOptions, chunk_bytes: int | None = None) -> list[Chunk]:
    """Divide sources into chunks of about `chunk_bytes` (default: 16 MiB, or what makes a thousand chunks).

    Raises:
        InputError: the format has no such name.
        TripleFileError: a source is missing or empty, or cannot be read.
        StorageError: a store of files cannot be reached.
        MissingExtraError: a source is named by URL, and pyarrow is not installed.
    """
    check_format_name(options.format)
    whole = [_whole(number, source, options) for number, source in enumerate(resolve(sources))]
    if chunk_bytes is None:
        chunk_bytes = max(CHUNK_BYTES, sum(part.bytes for part in whole) // MAX_CHUNKS)
    spans = [(part, span) for part in whole for span in _spans(part, options, chunk_bytes)]
    parts = [replace(part, number=number, span=span) for number, (part, span) in enumerate(spans)]
    return [Chunk(number, group) for number, group in enumerate(_groups(parts, chunk_bytes))]


def _whole(number: int, source: NamedFile | NamedRows, options: ReadOptions) -> Part:
    if isinstance(source, NamedRows):
        return Part(number, number, source.path, rows=source.rows)
    if source.path == STDIN:
        return Part(number, number, source.path, options.format)
    stamp, name = file_stamp(source.path), without_keys(source.path)
    if stamp.size == 0:
        raise TripleFileError(f"{name}: empty; {NLPCC_EXPECTED}")
    kind = options.format
    if kind == "auto":
        with opened(source.path) as file:
            start = unpacked_start(file.read(FORMAT_BYTES), FORMAT_BYTES)
        kind = format_of(name, start, options.columns)
    path = source.path if is_url(source.path) else str(Path(source.path).absolute())
    return Part(number, number, name, kind, path, stamp)


def _spans(part: Part, options: ReadOptions, chunk_bytes: int) -> list[Span | None]:
    """Divide a file of lines that is larger than a chunk; None stands for the whole."""
    if part.format not in _LINE_FORMATS or part.bytes <= chunk_bytes:
        return [None]
    with opened(part.path) as file:
        if compression_of(file.read(START_BYTES)):
            return [None]
        file.seek(0)
        header = tsv_header(islice(file, MAX_BLANK_LINES), options.columns) if part.format == "tsv" else b""
        cuts = [0, *_cuts(file, part.bytes, chunk_bytes), part.bytes]
    return [Span(start, end, header if start else b"") for start, end in pairwise(cuts)]


def _cuts(file: BinaryIO, size: int, chunk_bytes: int) -> Iterator[int]:
    """Find a line's end after each chunk; the first one holds all lines that the file is judged by."""
    file.seek(0)
    n_lines = 0
    while n_lines < SAMPLE_LINES and (line := file.readline(LINE_BYTES)):
        n_lines += bool(line.strip())
    cut = max(chunk_bytes, file.tell())
    while cut < size:
        file.seek(cut - 1)
        while (line := file.readline(LINE_BYTES)) and not line.endswith(b"\n"):
            pass
        cut = file.tell()
        if cut < size:
            yield cut
        cut += chunk_bytes


def _groups(parts: Sequence[Part], chunk_bytes: int) -> Iterator[tuple[Part, ...]]:
    """Bring together all graphs, and neighbours that are no more than a chunk."""
    graphs = tuple(part for part in parts if part.format in _GRAPHS)
    group: list[Part] = []
    for part in parts:
        if part.format in _GRAPHS:
            continue
        full = sum(p.bytes for p in group) + part.bytes > chunk_bytes
        if group and (full or part.is_only_here or group[-1].is_only_here):
            yield tuple(group)
            group = []
        group.append(part)
    if group:
        yield tuple(group)
    if graphs:
        yield graphs
