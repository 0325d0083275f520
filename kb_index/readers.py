"""Files of triples into a DuckDB table, with every line that is no triple set aside with its number and a reason.

A format is one SQL macro that yields the lines of a file as numbered parts; NLPCC lines are the only one so far. The
bytes are checked before DuckDB sees them, so that a wrong file is named with the place where it goes wrong. Nothing
is normalised here, and duplicates are kept.
"""

from __future__ import annotations

import codecs
import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from kb_index.atomic import is_full
from kb_index.errors import TripleFileError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["SourceFile", "check_format", "check_source", "create_reader", "load_lines"]

CHUNK_BYTES = 4 << 20
"""A line as long as a whole chunk is taken as a sign that the file has no lines."""

SAMPLE_LINES = 1000

REJECT_CHARS = 200
"""A rejected line is kept up to this many characters."""

_EXPECTED = "expected UTF-8 lines of `subject ||| predicate ||| object`"

# `trimmed` takes off what Python's str.strip() does, and the byte order mark; SQL's own trim() knows blanks only. An
# object may hold the separator itself: all parts from the third on are the object. `max_line_size` is two chunks.
_MACROS = r"""
    CREATE TEMP MACRO trimmed(text) AS regexp_replace(
        text, '^[\s\pZ\x{b}\x{1c}-\x{1f}\x{85}\x{feff}]+|[\s\pZ\x{b}\x{1c}-\x{1f}\x{85}\x{feff}]+$', '', 'g'
    );
    CREATE TEMP MACRO nlpcc_parts(path) AS TABLE
        SELECT line_number, line, len(parts) AS n_parts, trimmed(parts[1]) AS subject,
               trimmed(parts[2]) AS predicate, trimmed(array_to_string(parts[3:], '|||')) AS object
        FROM (
            SELECT row_number() OVER () AS line_number, line, string_split(line, '|||') AS parts
            FROM read_csv(path, delim = '\n', quote = '', escape = '', comment = '', header = false,
                          auto_detect = false, strict_mode = false, columns = {'line': 'VARCHAR'},
                          max_line_size = 8388608, compression = 'none')
        )
        WHERE n_parts > 1 OR subject != '';
    CREATE TEMP MACRO nlpcc_lines(path) AS TABLE
        SELECT line_number, subject, predicate, object, line,
               CASE WHEN n_parts < 3 THEN 'expected 3 parts separated by |||, got ' || n_parts
                    WHEN subject = '' THEN 'the subject is empty'
                    WHEN predicate = '' THEN 'the predicate is empty'
                    WHEN object = '' THEN 'the object is empty' END AS reason
        FROM nlpcc_parts(path);
    CREATE TEMP TABLE raw (
        file UINTEGER, line_number BIGINT, subject VARCHAR, predicate VARCHAR, object VARCHAR, reason VARCHAR,
        text VARCHAR
    );
"""


class SourceFile(NamedTuple):
    """A file of triples as it was read; `bytes` is its size."""

    path: str
    sha256: str
    bytes: int


def check_source(path: Path, on_bytes: Callable[[int], object]) -> SourceFile:
    """Read a file once: fingerprint it and make sure that it is text in UTF-8 with lines of a sane length.

    `on_bytes` is told the size of each chunk, in bytes.

    Raises:
        TripleFileError: missing, no file, unreadable, empty, binary, not UTF-8, or without line breaks.
    """
    if not path.exists():
        raise TripleFileError(f"{path}: no such file; {_EXPECTED}, check the path")
    if not path.is_file():
        raise TripleFileError(f"{path}: not a file; {_EXPECTED}, name a file")
    digest, size, decoder = hashlib.sha256(), 0, codecs.getincrementaldecoder("utf-8")()
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                _check_chunk(path, chunk, size, decoder)
                digest.update(chunk)
                size += len(chunk)
                on_bytes(len(chunk))
            _decode(path, b"", size, decoder)
    except OSError as error:
        raise TripleFileError(f"{path}: cannot be read ({error.strerror}); make it readable") from error
    if size == 0:
        raise TripleFileError(f"{path}: empty; {_EXPECTED}")
    return SourceFile(str(path), digest.hexdigest(), size)


def _check_chunk(path: Path, chunk: bytes, start: int, decoder: codecs.IncrementalDecoder) -> None:
    zero = chunk.find(b"\0")
    if zero >= 0:
        raise TripleFileError(
            f"{path}: binary, a zero byte at offset {start + zero}; {_EXPECTED}, unpack or convert it"
        )
    _decode(path, chunk, start, decoder)
    if len(chunk) == CHUNK_BYTES and b"\n" not in chunk:
        raise TripleFileError(f"{path}: a line of over {CHUNK_BYTES >> 20} MiB at offset {start}; {_EXPECTED}")


def _decode(path: Path, chunk: bytes, start: int, decoder: codecs.IncrementalDecoder) -> None:
    held = len(decoder.getstate()[0])
    try:
        decoder.decode(chunk, final=not chunk)
    except UnicodeDecodeError as error:
        offset = start - held + error.start
        raise TripleFileError(
            f"{path}: not UTF-8, byte 0x{error.object[error.start]:02x} at offset {offset}; {_EXPECTED}, "
            f"convert it: iconv -f GB18030 -t UTF-8"
        ) from error


def _literal_path(path: Path) -> str:
    """Keep DuckDB from reading `*`, `?` and `[` in a file's name as a pattern."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in str(path))


def create_reader(connection: DuckDBPyConnection) -> None:
    """Make the temporary table `raw` of lines in the order of files and lines; `reason` is null for a triple."""
    connection.execute(_MACROS)


def check_format(connection: DuckDBPyConnection, path: Path) -> None:
    """Look at the first 1,000 lines that are not blank.

    Raises:
        TripleFileError: over half of them are no triples, or DuckDB cannot read the file.
    """
    sql = "SELECT line_number, reason FROM nlpcc_lines($1) LIMIT $2"
    with _readable(path):
        rows = connection.execute(sql, [_literal_path(path), SAMPLE_LINES]).fetchall()
    bad = [(number, reason) for number, reason in rows if reason is not None]
    if not rows:
        raise TripleFileError(f"{path}: nothing but blank lines; {_EXPECTED}")
    if 2 * len(bad) > len(rows):
        number, reason = bad[0]
        raise TripleFileError(
            f"{path}: {len(bad)} of the first {len(rows)} lines are no triples (line {number}: {reason}); {_EXPECTED}"
        )


def load_lines(connection: DuckDBPyConnection, path: Path, file: int) -> None:
    """Append the lines of one checked file to `raw`; blank lines are counted in line numbers, but not loaded.

    Raises:
        TripleFileError: DuckDB cannot read the file.
    """
    sql = """
        INSERT INTO raw SELECT $1, line_number, subject, predicate, object, reason,
               CASE WHEN reason IS NOT NULL THEN left(line, $3) END
        FROM nlpcc_lines($2)
    """
    with _readable(path):
        connection.execute(sql, [file, _literal_path(path), REJECT_CHARS])


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn what DuckDB says about a file into a `TripleFileError`; a full disk is another matter."""
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        if is_full(error):
            raise
        reason = str(error).split("\n", 1)[0]
        raise TripleFileError(f"{path}: cannot be read ({reason}); {_EXPECTED}") from error
