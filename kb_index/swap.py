"""A folder that appears all at once: built in a temporary sibling, put in place when it is complete.

A build that fails removes its temporary folder; one that is killed leaves it, and the next build or update of the same
index removes it. The new folder and the old one change places in one step. Where the system cannot do that, two renames
do, and a kill between them leaves the old index aside, where whoever opens or builds it next finds it. A lock on a file
in the temporary folder tells a dead build from a running one, and a lock beside the index keeps builds from cleaning up
while one renames.
"""

from __future__ import annotations

import fcntl
import glob
import json
import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import TextIO

from kb_index.atomic import holds_current_folder, is_replaceable, locked, put_in_place
from kb_index.errors import IndexFolderError, TripleFileError
from kb_index.manifest import MANIFEST_FILE

__all__ = ["check_out", "find_index", "replaced_folder"]

LOCK_FILE = ".lock"

logger = logging.getLogger(__name__)


@contextmanager
def replaced_folder(
    out: Path, check: Callable[[], object] = lambda: None, resumed: str | None = None
) -> Iterator[Path]:
    """Yield a temporary folder that takes the place of `out` when the block ends without an exception.

    `check` is called last, when no other build can replace `out` any more, and may raise to leave it as it is. With
    `resumed`, a name for what is built, the folder is the one that a build of that name left when it ended otherwise
    than by an error in a source; folders of other names are removed once this one is in place.

    Raises:
        IndexFolderError: `out` is there and is no index, or holds the current folder, so it is left alone; or a build
            of the name `resumed` is running.
    """
    out = out.resolve()
    _check(out)
    with locked(out):
        _clean_up(out)
        building = out.parent / (f".{out.name}.building-{token_hex(4)}" if resumed is None else _kept(out, resumed))
        building.mkdir(exist_ok=resumed is not None)
        lock = (building / LOCK_FILE).open("w")
        _hold(lock, out)
    is_kept = False
    try:
        with lock:
            yield building
            with locked(out):
                _check(out)
                check()
                (building / LOCK_FILE).unlink()
                put_in_place(building, out)
                if resumed is not None:
                    _remove_dead(out, f".{glob.escape(out.name)}.sharded-*")
    except BaseException as error:
        is_kept = resumed is not None and not isinstance(error, TripleFileError)
        if is_kept:
            logger.warning("'%s' keeps what is done; the same command goes on with it", building)
        raise
    finally:
        if not is_kept:
            shutil.rmtree(building, ignore_errors=True)


def check_out(out: Path) -> None:
    """Make sure that an index can be put at `out`.

    Raises:
        IndexFolderError: it is there and is no index, or holds the current folder.
        OSError: nothing can be written there.
    """
    out = out.resolve()
    with locked(out):
        _check(out)


def _kept(out: Path, name: str) -> str:
    return f".{out.name}.sharded-{name}"


def _hold(lock: TextIO, out: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise IndexFolderError(f"'{out}': the same command is building it already; wait until that ends") from error


def _check(out: Path) -> None:
    if not is_replaceable(out, MANIFEST_FILE) or _is_foreign(out / MANIFEST_FILE):
        raise IndexFolderError(f"'{out}': there already, and no index; it is left as it is, choose another --out")
    if holds_current_folder(out):
        raise IndexFolderError(f"'{out}': the folder you are in, which cannot be replaced; leave it, then run again")


def _is_foreign(manifest: Path) -> bool:
    """Say whether a manifest is whole and no index's: other programs have a file of that name too."""
    try:
        content = json.loads(manifest.read_bytes())
    except (OSError, ValueError):
        return False
    return not (isinstance(content, dict) and "schema_version" in content)


def find_index(folder: Path) -> Path:
    """Give the folder of an index, put back first where a replacement in two renames was killed between them.

    Where nothing can be renamed, it is the folder in which the old index lies aside; without one, it is `folder`.
    """
    out = folder.resolve()
    if out.exists() or not _asides(out):
        return folder
    try:
        with locked(out):
            _put_back(out)
    except OSError:
        return next(iter(_asides(out)), folder)
    return folder


def _clean_up(out: Path) -> None:
    """Remove what dead builds of this index left behind, after putting back an old index that has no successor."""
    _put_back(out)
    for aside in out.parent.glob(f".{glob.escape(out.name)}.old-*"):
        shutil.rmtree(aside, ignore_errors=True)
    _remove_dead(out, f".{glob.escape(out.name)}.building-*")


def _remove_dead(out: Path, pattern: str) -> None:
    for building in out.parent.glob(pattern):
        if _is_dead(building):
            shutil.rmtree(building, ignore_errors=True)


def _put_back(out: Path) -> None:
    if not out.exists():
        for aside in _asides(out)[:1]:
            aside.rename(out)


def _asides(out: Path) -> list[Path]:
    """List the old indexes that were moved aside to be replaced."""
    asides = out.parent.glob(f".{glob.escape(out.name)}.old-*")
    return sorted(aside for aside in asides if (aside / MANIFEST_FILE).is_file())


def _is_dead(building: Path) -> bool:
    try:
        with (building / LOCK_FILE).open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a build without a lock is in its last moment, which no other sees, or was killed in it
        return True
    return True
