"""Files of triples by URL (`s3://bucket/kb.nlpcc`, `gs://`, `abfs://`, `hdfs://`, `file://`), through pyarrow.

These are the file systems that Ray Data reads from. What a store asks for (keys, region) comes from the environment, or
stands in the URL, as pyarrow documents it.
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
from typing import Any, BinaryIO

from kb_index.errors import MissingExtraError, TripleFileError

__all__ = ["copy_url", "is_url", "matching_urls", "open_url", "url_stat"]

_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_BUFFER_BYTES = 1 << 20
_EXPECTED = "check the URL, and what its store needs to let you in"


def is_url(path: str) -> bool:
    """Say whether a source is named by URL.

    >>> is_url("s3://bucket/kb.nlpcc"), is_url("parts/*.csv")
    (True, False)
    """
    return _URL.match(path) is not None


def matching_urls(url: str) -> list[str]:
    """List the files that a URL with `*` in its last part names, by name; any other URL is its own list.

    Raises:
        TripleFileError, MissingExtraError: as `open_url`.
    """
    location, mark, query = url.partition("?")  # it tells of the store, such as the region
    folder, _, pattern = location.rpartition("/")
    if "*" not in pattern:
        return [url]
    with _described(url):
        system, path = _located(folder + mark + query)
        files = system.get_file_info(import_module("pyarrow.fs").FileSelector(path))
    names = sorted(file.base_name for file in files if file.is_file and fnmatch(file.base_name, pattern))
    return [f"{folder}/{name}{mark}{query}" for name in names]


def url_stat(url: str) -> tuple[int, int]:
    """Give the size of a file in bytes and when it was changed, in nanoseconds since 1970.

    Raises:
        TripleFileError, MissingExtraError: as `open_url`.
    """
    with _described(url):
        system, path = _located(url)
        found = system.get_file_info(path)
    if not found.is_file:
        raise TripleFileError(f"{url}: no such file; expected a file of triples, {_EXPECTED}")
    return int(found.size), int(found.mtime_ns or 0)


@contextmanager
def open_url(url: str) -> Iterator[BinaryIO]:
    """Lend a file that can be read from any place.

    Raises:
        TripleFileError: it is not there, or cannot be reached.
        MissingExtraError: pyarrow is not installed.
    """
    with _described(url):
        system, path = _located(url)
        file = io.BufferedReader(system.open_input_file(path), _BUFFER_BYTES)
    with file:
        yield file


def copy_url(url: str, copy: Path) -> None:
    """Fetch a whole file."""
    with open_url(url) as file, copy.open("wb") as out:
        shutil.copyfileobj(file, out, _BUFFER_BYTES)


def _located(url: str) -> tuple[Any, str]:
    try:
        fs: Any = import_module("pyarrow.fs")
    except ImportError as error:
        raise MissingExtraError("ray", "pyarrow") from error
    system, path = fs.FileSystem.from_uri(url)
    return system, str(path)


@contextmanager
def _described(url: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:  # pyarrow's own errors are both
        reason = " ".join(str(error).split())
        raise TripleFileError(f"{url}: cannot be read ({reason}); {_EXPECTED}") from error
