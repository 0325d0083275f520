"""Files of triples by URL (`s3://bucket/kb.nlpcc`, `gs://`, `abfs://`, `hdfs://`, `file://`), through pyarrow.

These are the file systems that Ray Data reads from. What a store asks for (keys, region) comes from the environment, or
stands in the URL, as pyarrow documents it; whoever shows or records a URL calls it by `without_keys`.
"""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from importlib import import_module
from pathlib import Path
from string import printable
from typing import Any, BinaryIO
from urllib.parse import quote, unquote

from kb_index.errors import MissingExtraError, StorageError, TripleFileError

__all__ = ["copy_url", "is_url", "matching_urls", "open_url", "url_stat", "without_keys"]

_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_PARTS = re.compile(
    r"(?P<scheme>[^:]+://)"
    # No port, which a slash follows. A password should be percent-encoded, and must not be told where it is not.
    r"(?:(?P<user>[^/@:?]*)(?::(?!\d+/)(?P<password>[^/]*(?=@)|[^@]*(?=@)))?@)?"
    r"(?P<location>[^?]*)\??(?P<query>.*)",
    re.DOTALL,
)
_OPEN_PARAMETERS = ("region", "scheme")
MIN_KEY = 4
"""Shorter ones are let stand in what pyarrow says, which would be unreadable without such a letter."""
_BUFFER_BYTES = 1 << 20
_EXPECTED = "check the URL, and what its store needs to let you in"


def is_url(path: str) -> bool:
    """Say whether a source is named by URL.

    >>> is_url("s3://bucket/kb.nlpcc"), is_url("parts/*.csv")
    (True, False)
    """
    return _URL.match(path) is not None


def without_keys(path: str) -> str:
    """Give a URL without what lets one in, and any other path as it is.

    >>> without_keys("s3://KEY:SECRET@bucket/kb.nlpcc?region=us-east-1"), without_keys("parts/*.csv")
    ('s3://bucket/kb.nlpcc', 'parts/*.csv')
    """
    parts = _PARTS.match(path) if is_url(path) else None
    if parts is None:
        return path
    container = parts["scheme"].lower().startswith("abfs") and parts["user"]
    return parts["scheme"] + (f"{container}@" if container else "") + parts["location"]


def matching_urls(url: str) -> list[str]:
    """List the files that a URL with `*` in its last part names, by name; any other URL is its own list.

    Raises:
        TripleFileError, StorageError, MissingExtraError: as `open_url`.
    """
    location, mark, query = url.partition("?")  # it tells of the store, such as the region
    folder, _, pattern = location.rpartition("/")
    if "*" not in pattern:
        return [url]
    with _described(url):
        system, path = _located(folder + mark + query)
        files = system.get_file_info(import_module("pyarrow.fs").FileSelector(path))
    names = sorted(file.base_name for file in files if file.is_file and fnmatch(file.base_name, unquote(pattern)))
    return [f"{folder}/{quote(name)}{mark}{query}" for name in names]


def url_stat(url: str) -> tuple[int, int]:
    """Give the size of a file in bytes and when it was changed, in nanoseconds since 1970.

    Raises:
        TripleFileError, StorageError, MissingExtraError: as `open_url`.
    """
    with _described(url):
        system, path = _located(url)
        found = system.get_file_info(path)
    if not found.is_file:
        raise TripleFileError(f"{without_keys(url)}: no such file; expected a file of triples, {_EXPECTED}")
    return int(found.size), int(found.mtime_ns or 0)


@contextmanager
def open_url(url: str) -> Iterator[BinaryIO]:
    """Lend a file that can be read from any place.

    Raises:
        TripleFileError: it is not there, or the URL is none.
        StorageError: it cannot be reached, or not read to its end.
        MissingExtraError: pyarrow is not installed.
    """
    with _described(url):
        system, path = _located(url)
        file = _RemoteFile(system.open_input_file(path), url)
    with io.BufferedReader(file, _BUFFER_BYTES) as buffered:
        yield buffered


def copy_url(url: str, copy: Path) -> None:
    """Fetch a whole file."""
    with open_url(url) as file, copy.open("wb") as out:
        shutil.copyfileobj(file, out, _BUFFER_BYTES)


class _RemoteFile(io.RawIOBase):
    """An open file of pyarrow's, whose errors say which file it is."""

    def __init__(self, file: Any, url: str) -> None:
        self._file, self._url = file, url

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with _described(self._url):
            return int(self._file.readinto(buffer))

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return int(self._file.seek(offset, whence))

    def close(self) -> None:
        self._file.close()
        super().close()


def _located(url: str) -> tuple[Any, str]:
    try:
        fs: Any = import_module("pyarrow.fs")
    except ImportError as error:
        raise MissingExtraError("ray", "pyarrow") from error
    system, path = fs.FileSystem.from_uri(_encoded(url))
    return system, str(path)


def _encoded(url: str) -> str:
    """Percent-encode what no URL has, as people write them: Chinese names, blanks."""
    return quote(url, safe=printable.rstrip())


@contextmanager
def _described(url: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, NotImplementedError) as error:  # pyarrow's own errors are all of these
        message = f"{without_keys(url)}: cannot be read ({_reason(error, url)}); {_EXPECTED}"
        # The cause quotes the URL with its keys. A store that does not answer may do so later; a wrong URL stays wrong.
        may_come_back = isinstance(error, OSError) and not isinstance(error, FileNotFoundError)
        raise (StorageError if may_come_back else TripleFileError)(message) from None


def _reason(error: Exception, url: str) -> str:
    """What pyarrow says, without what lets one in."""
    reason = " ".join(str(error).split())
    for given in (_encoded(url), url):
        reason = reason.replace(given, without_keys(url))
    parts = _PARTS.match(url)
    if parts is None or without_keys(url) == url:
        return reason
    named = (parameter.partition("=") for parameter in parts["query"].split("&"))
    values = [value for name, _, value in named if name not in _OPEN_PARAMETERS]
    keys = {
        form
        for key in (parts["user"], parts["password"], *values)
        if key
        for form in (key, unquote(key))
        if len(form) >= MIN_KEY
    }
    for key in sorted(keys, key=len, reverse=True):
        reason = reason.replace(key, "***")
    return reason
