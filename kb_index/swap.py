"""A folder that appears all at once: built in a temporary sibling, renamed into place when it is complete.

A build that fails removes its temporary folder; one that is killed leaves it, and the next build of the same index
removes it then, or puts the old index back where it died between the two renames. A lock on a file in the temporary
folder tells a dead build from a running one, and a lock beside the index keeps builds from cleaning up while one
renames.
"""

from __future__ import annotations

import fcntl
import glob
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

from kb_index.atomic import is_replaceable, locked, put_in_place
from kb_index.errors import IndexFolderError
from kb_index.manifest import MANIFEST_FILE

__all__ = ["replaced_folder"]

LOCK_FILE = ".lock"


@contextmanager
def replaced_folder(out: Path) -> Iterator[Path]:
    """Yield a temporary folder that takes the place of `out` when the block ends without an exception.

    Raises:
        IndexFolderError: `out` is there and is no index, so it is left alone.
    """
    out = out.resolve()
    _check(out)
    with locked(out):
        _clean_up(out)
        building = out.parent / f".{out.name}.building-{token_hex(4)}"
        building.mkdir()
        lock = (building / LOCK_FILE).open("w")
        fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        with lock:
            yield building
            with locked(out):
                _check(out)
                (building / LOCK_FILE).unlink()
                put_in_place(building, out)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _check(out: Path) -> None:
    if not is_replaceable(out, MANIFEST_FILE):
        raise IndexFolderError(f"'{out}': there already, and no index; it is left as it is, choose another --out")


def _clean_up(out: Path) -> None:
    """Remove what dead builds of this index left behind, after putting back an old index that has no successor."""
    name = glob.escape(out.name)
    for aside in sorted(out.parent.glob(f".{name}.old-*")):
        if not out.exists() and (aside / MANIFEST_FILE).is_file():
            aside.rename(out)
        else:
            shutil.rmtree(aside, ignore_errors=True)
    for building in out.parent.glob(f".{name}.building-*"):
        if _is_dead(building):
            shutil.rmtree(building, ignore_errors=True)


def _is_dead(building: Path) -> bool:
    try:
        with (building / LOCK_FILE).open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a build without a lock is in its last moment, which no other sees, or was killed in it
        return True
    return True
