"""Opening the folder of an index, which a build or an update may replace at the same time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from kb_index.closing import Closing
from kb_index.errors import IndexFolderError, KBQAError
from kb_index.manifest import Manifest, check_files, read_manifest
from kb_index.swap import find_index

__all__ = ["open_steadily"]

Opened = TypeVar("Opened", bound=Closing)


def open_steadily(folder: Path, open_: Callable[[Path, Manifest], Opened]) -> Opened:
    """Open what is in an index folder; one that is replaced at the same time is opened as it was or as it is then.

    Raises:
        IndexFolderError: as `open_view`.
    """
    while True:
        place = find_index(folder)
        manifest = read_manifest(place)
        try:
            opened = _open(place, manifest, open_)
        except KBQAError:
            if _is_still_there(manifest, place):
                raise
        else:
            if _is_still_there(manifest, place):
                return opened
            opened.close()


def _open(folder: Path, manifest: Manifest, open_: Callable[[Path, Manifest], Opened]) -> Opened:
    check_files(manifest, folder)
    try:
        return open_(folder, manifest)
    except KBQAError:
        raise
    except Exception as error:
        reason = str(error).split("\n", 1)[0]
        raise IndexFolderError(f"index '{folder}': damaged ({reason}); build it again") from error


def _is_still_there(manifest: Manifest, folder: Path) -> bool:
    try:
        return read_manifest(folder) == manifest
    except IndexFolderError:
        return False
