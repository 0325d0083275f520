"""One pass over the bytes of a text file: its fingerprint, and whether anything in it keeps DuckDB from reading it."""

from __future__ import annotations

import codecs
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

__all__ = ["CHUNK_BYTES", "FileBytes", "read_bytes"]

CHUNK_BYTES = 4 << 20
"""A line of over twice this length holds a whole chunk; DuckDB is told to expect no longer one."""


class FileBytes(NamedTuple):
    """What is in a file: its SHA-256 and size, and what a reader must know of it."""

    sha256: str
    size: int
    is_clean: bool  # UTF-8 without zero bytes, all lines ended alike by \n or \r\n, and none of over 8 MiB
    has_quotes: bool


def read_bytes(path: Path, on_bytes: Callable[[int], object]) -> FileBytes:
    """Read a file once; `on_bytes` is told the size of each chunk, in bytes.

    Raises:
        OSError: it cannot be read.
    """
    digest, size, checks, has_quotes = hashlib.sha256(), 0, _Checks(), False
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            if chunk.endswith(b"\r"):
                chunk += file.read(1)  # a line's end is not torn apart
            digest.update(chunk)
            checks.add(chunk)
            has_quotes = has_quotes or b'"' in chunk
            size += len(chunk)
            on_bytes(len(chunk))
    checks.add(b"")
    return FileBytes(digest.hexdigest(), size, checks.are_met, has_quotes)


class _Checks:
    """Whether all chunks so far are text that DuckDB reads as it is."""

    def __init__(self) -> None:
        self.are_met = True
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._has_returns: bool | None = None

    def add(self, chunk: bytes) -> None:
        """Look at the next chunk; an empty one is the end."""
        self.are_met = self.are_met and b"\0" not in chunk and self._has_lines(chunk) and self._decodes(chunk)

    def _has_lines(self, chunk: bytes) -> bool:
        has_returns = b"\r" in chunk
        if b"\n" not in chunk:
            return len(chunk) < CHUNK_BYTES and not has_returns
        expected, self._has_returns = self._has_returns, has_returns
        if expected not in (None, has_returns):
            return False
        return not has_returns or chunk.count(b"\r") == chunk.count(b"\n") == chunk.count(b"\r\n")

    def _decodes(self, chunk: bytes) -> bool:
        try:
            self._decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError:
            return False
        return True
