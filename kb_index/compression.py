"""gzip, bzip2 and Zstandard files, known by their first bytes, unpacked into a plain copy."""

from __future__ import annotations

import bz2
import hashlib
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from kb_index.byte_pass import CHUNK_BYTES
from kb_index.errors import TripleFileError

__all__ = ["ENDINGS", "compression_of", "unpack"]

ENDINGS = (".gz", ".bz2", ".zst")

_MAGIC = {b"\x1f\x8b\x08": "gzip", b"BZh": "bzip2", b"\x28\xb5\x2f\xfd": "zstd"}


def compression_of(start: bytes) -> str | None:
    """Name how a file with these first bytes is packed: `gzip`, `bzip2`, `zstd`, or None."""
    return next((name for magic, name in _MAGIC.items() if start.startswith(magic)), None)


def unpack(source: Path, copy: Path, name: str, on_bytes: Callable[[int], object]) -> str:
    """Write the content of a packed file to `copy`; returns the SHA-256 of the packed file.

    `on_bytes` is told the size of each packed chunk, in bytes.

    Raises:
        TripleFileError: damaged or cut off; it speaks of `name`.
        OSError: the file cannot be read, or the copy not be written.
    """
    digest = hashlib.sha256()
    with source.open("rb") as file, copy.open("wb") as out:
        kind = compression_of(file.read(4))
        file.seek(0)
        try:
            for text in _unpacked(file, str(kind), lambda chunk: (digest.update(chunk), on_bytes(len(chunk)))):
                out.write(text)
        except (EOFError, zlib.error, *_damage(str(kind))) as error:
            raise TripleFileError(
                f"{name}: not a whole {kind} file ({error or 'cut off'}); pack or download it again"
            ) from error
    return digest.hexdigest()


def _damage(kind: str) -> tuple[type[Exception], ...]:
    if kind != "zstd":
        return ()
    import zstandard

    return (zstandard.ZstdError,)


def _decompressor(kind: str) -> Any:
    if kind == "gzip":
        return zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    if kind == "bzip2":
        return bz2.BZ2Decompressor()
    import zstandard

    return zstandard.ZstdDecompressor().decompressobj()


def _unpacked(file: BinaryIO, kind: str, on_chunk: Callable[[bytes], object]) -> Iterator[bytes]:
    unpacker = None  # None between two members: packed files may be joined end to end
    while chunk := file.read(CHUNK_BYTES >> 4):
        on_chunk(chunk)
        while chunk.lstrip(b"\0") if unpacker is None else chunk:
            unpacker = unpacker or _decompressor(kind)
            try:
                yield unpacker.decompress(chunk)
            except OSError as error:  # what bz2 raises for bad data
                raise EOFError(str(error)) from error
            chunk = unpacker.unused_data
            unpacker = None if unpacker.eof else unpacker
    if unpacker is not None:
        raise EOFError("it ends too early")
