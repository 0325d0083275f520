"""One pass over the bytes of a text file: its fingerprint, and whether anything in it keeps DuckDB from reading it."""

from __future__ import annotations

import codecs
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

__all__ = ["CHUNK_BYTES", "FileBytes", "read_bytes"]

CHUNK_BYTES = 4 << 20
"""A line of twice this length holds a whole chunk; DuckDB is told to expect no longer one."""


class FileBytes(NamedTuple):
    """What is in a file: its SHA-256 and size, and what a reader must know of it."""

    sha256: str
    size: int
    is_clean: bool  # UTF-8 without zero bytes, without \r but before \n, and without a line of over 8 MiB
    has_quotes: bool


def read_bytes(path: Path, on_bytes: Callable[[int], object]) -> FileBytes:
    """Read a file once; `on_bytes` is told the size of each chunk, in bytes.

    Raises:
        OSError: it cannot be read.
    """
    digest, size, decoder = hashlib.sha256(), 0, codecs.getincrementaldecoder("utf-8")()
    is_clean, has_quotes, last = True, False, b""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            is_clean = is_clean and _is_clean(chunk, last, decoder)
            has_quotes = has_quotes or b'"' in chunk
            size, last = size + len(chunk), chunk[-1:]
            on_bytes(len(chunk))
    is_clean = is_clean and last != b"\r" and _decodes(b"", decoder)
    return FileBytes(digest.hexdigest(), size, is_clean, has_quotes)


def _is_clean(chunk: bytes, last: bytes, decoder: codecs.IncrementalDecoder) -> bool:
    if b"\0" in chunk or (len(chunk) == CHUNK_BYTES and b"\n" not in chunk):
        return False
    if last == b"\r" and not chunk.startswith(b"\n"):
        return False
    if b"\r" in chunk and chunk.count(b"\r") != chunk.count(b"\r\n") + chunk.endswith(b"\r"):
        return False
    return _decodes(chunk, decoder)


def _decodes(chunk: bytes, decoder: codecs.IncrementalDecoder) -> bool:
    try:
        decoder.decode(chunk, final=not chunk)
    except UnicodeDecodeError:
        return False
    return True
