"""Files by path or URL, read from any place, and whether they are still what they were."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from kb_index.errors import TripleFileError
from kb_index.readers.remote import is_url, open_url, url_stat
from kb_index.readers.sources import SourceFile, check_file

__all__ = ["FileStamp", "describe_source", "file_stamp", "opened"]


class FileStamp(NamedTuple):
    """A file's size in bytes and when it was changed, in nanoseconds since 1970: other content has another stamp."""

    size: int
    changed: int


def file_stamp(name: str) -> FileStamp:
    """Look at a file.

    Raises:
        TripleFileError: it is not there.
        MissingExtraError: it is named by URL, and pyarrow is not installed.
    """
    if is_url(name):
        return FileStamp(*url_stat(name))
    found = check_file(name).stat()
    return FileStamp(found.st_size, found.st_mtime_ns)


@contextmanager
def opened(name: str) -> Iterator[BinaryIO]:
    """Lend a file that can be read from any place.

    Raises:
        TripleFileError: it cannot be read.
    """
    if is_url(name):
        with open_url(name) as remote:
            yield remote
        return
    try:
        file = Path(name).open("rb")  # noqa: SIM115 - closed below
    except OSError as error:
        raise TripleFileError(f"{name}: cannot be read ({error.strerror}); make it readable") from error
    with file:
        yield file


def describe_source(name: str) -> SourceFile:
    """Give the fingerprint of a whole file."""
    with opened(name) as file:
        digest = hashlib.file_digest(file, "sha256")  # type: ignore[arg-type]
        return SourceFile(name, digest.hexdigest(), file.tell())
