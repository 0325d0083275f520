"""A folder that appears all at once: built in a temporary sibling, renamed into place when it is complete.

A build that fails removes its temporary folder; one that is killed leaves it, and the next build of the same index
removes it then, or puts the old index back where it died between the two renames. A lock on a file in the temporary
folder tells a dead build from a running one.
"""

from __future__ import annotations

import errno
import fcntl
import glob
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

from kb_index.errors import IndexFolderError, KBQAError, StorageError
from kb_index.manifest import MANIFEST_FILE, sync_folder

__all__ = ["replaced_folder", "storage_errors"]

LOCK_FILE = ".lock"
NO_LOCK_SECONDS = 60
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn what the libraries raise when a disk is full or a path cannot be written into a `StorageError`."""
    try:
        yield
    except KBQAError:
        raise
    except Exception as error:
        if _is_full(error):
            raise StorageError(
                f"{path}: the disk is full or a size limit was met; free space, then run again"
            ) from error
        if isinstance(error, OSError):
            raise StorageError(f"{path}: cannot be written ({error.strerror}); choose another --out") from error
        raise


def _is_full(error: Exception) -> bool:
    if isinstance(error, OSError) and error.errno in _FULL:
        return True
    return any(os.strerror(code) in str(error) for code in _FULL) or "failed to offload data block" in str(error)


@contextmanager
def replaced_folder(out: Path) -> Iterator[Path]:
    """Yield a temporary folder that takes the place of `out` when the block ends without an exception.

    Raises:
        IndexFolderError: `out` is there and is no index, so it is left alone.
    """
    out = out.resolve()
    _clean_up(out)
    if out.exists() and not _is_replaceable(out):
        raise IndexFolderError(f"'{out}': there already, and no index; it is left as it is, choose another --out")
    building = out.parent / f".{out.name}.building-{token_hex(4)}"
    building.mkdir(parents=True)
    try:
        with (building / LOCK_FILE).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield building
            (building / LOCK_FILE).unlink()
            _swap(building, out)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _is_replaceable(out: Path) -> bool:
    return out.is_dir() and ((out / MANIFEST_FILE).is_file() or not any(out.iterdir()))


def _swap(building: Path, out: Path) -> None:
    aside = out.parent / f".{out.name}.old-{token_hex(4)}"
    if out.exists():
        out.rename(aside)
    try:
        building.rename(out)
    except OSError:
        if aside.exists():
            aside.rename(out)
        raise
    sync_folder(out.parent)
    shutil.rmtree(aside, ignore_errors=True)


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
    except OSError:
        # A build has no lock in its first and in its last moment.
        return time.time() - building.stat().st_mtime > NO_LOCK_SECONDS
    return True
