"""gzip, bzip2 and Zstandard files, known by their first bytes, unpacked into a plain copy."""

from __future__ import annotations

import bz2
import hashlib
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from kb_index.errors import TripleFileError
from kb_index.readers.byte_pass import CHUNK_BYTES

__all__ = ["PACKED_ENDINGS", "START_BYTES", "compression_of", "text_start", "unpack", "unpacked_start"]

PACKED_ENDINGS = (".gz", ".bz2", ".zst")

START_BYTES = 16
"""So many bytes of a file tell how it is packed."""

# A bzip2 file goes on with the digits of pi, or of its root where it is empty; a text may begin with BZh.
_MAGIC = {
    "gzip": re.compile(rb"\x1f\x8b\x08"),
    "bzip2": re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)"),
    "zstd": re.compile(rb"\x28\xb5\x2f\xfd"),
}


def compression_of(start: bytes) -> str | None:
    """Name how a file with these first bytes is packed: `gzip`, `bzip2`, `zstd`, or None."""
    return next((name for name, magic in _MAGIC.items() if magic.match(start)), None)


def unpack(source: Path, copy: Path, kind: str, name: str, on_bytes: Callable[[int], object]) -> str:
    """Write the content of a file packed by `kind` to `copy`; returns the SHA-256 of the packed file.

    `on_bytes` is told the size of each packed chunk, in bytes.

    Raises:
        TripleFileError: damaged or cut off; it speaks of `name`.
        OSError: the file cannot be read, or the copy not be written.
    """
    digest = hashlib.sha256()

    def on_chunk(chunk: bytes) -> None:
        digest.update(chunk)
        on_bytes(len(chunk))

    with source.open("rb") as file, copy.open("wb") as out:
        try:
            for chunk in _unpacked(file, kind, on_chunk):
                out.write(chunk)
        except _damage(kind) as error:
            raise TripleFileError(
                f"{name}: not a whole {kind} file ({error or 'cut off'}); pack or download it again"
            ) from error
    return digest.hexdigest()


def text_start(path: Path, size: int) -> bytes:
    """Give the first `size` bytes of a file, unpacked if it is packed; fewer if the file is short or damaged."""
    with path.open("rb") as file:
        return unpacked_start(file.read(size), size)


def unpacked_start(start: bytes, size: int) -> bytes:
    """Unpack the first bytes of a file, if it is packed, and give at most `size` of what comes out."""
    kind = compression_of(start)
    if kind is None:
        return start
    try:
        return _decompressed(_decompressor(kind), start)[:size]
    except _damage(kind):
        return b""


def _damage(kind: str) -> tuple[type[Exception], ...]:
    if kind != "zstd":
        return EOFError, zlib.error
    import zstandard

    return EOFError, zstandard.ZstdError


def _decompressor(kind: str) -> Any:
    if kind == "gzip":
        return zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    if kind == "bzip2":
        return bz2.BZ2Decompressor()
    import zstandard

    return zstandard.ZstdDecompressor().decompressobj()


def _decompressed(unpacker: Any, chunk: bytes) -> bytes:
    try:
        return bytes(unpacker.decompress(chunk))
    except OSError as error:  # what bz2 raises for bad data
        raise EOFError(str(error)) from error


def _unpacked(file: BinaryIO, kind: str, on_chunk: Callable[[bytes], object]) -> Iterator[bytes]:
    unpacker = None  # None between two members: packed files may be joined end to end, and padded with zero bytes
    while chunk := file.read(CHUNK_BYTES >> 4):
        on_chunk(chunk)
        while chunk.strip(b"\0") if unpacker is None else chunk:
            unpacker = unpacker or _decompressor(kind)
            yield _decompressed(unpacker, chunk)
            chunk = unpacker.unused_data
            unpacker = None if unpacker.eof else unpacker
    if unpacker is not None:
        raise EOFError("it ends too early")
