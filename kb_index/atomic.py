"""Files and folders that appear whole or not at all: written to a sibling, synced, then renamed into place.

What the libraries raise when that fails becomes one `StorageError`. An index folder, whose dead builds are cleaned up
too, is `kb_index.swap`'s.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import TextIO

from kb_index.errors import KBQAError, StorageError
from kb_index.exchange import exchange

__all__ = [
    "check_replaceable",
    "filling_folder",
    "holds_current_folder",
    "is_full",
    "is_replaceable",
    "locked",
    "put_in_place",
    "replacing",
    "replacing_folder",
    "replacing_text",
    "storage_errors",
    "sync",
    "sync_tree",
]

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

# Other errors of the operating system, such as a lost connection, come from what the block does and pass through.
_STORAGE = {
    errno.EACCES,
    errno.EBUSY,
    errno.EEXIST,
    errno.EIO,
    errno.EISDIR,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.ENOTEMPTY,
    errno.EPERM,
    errno.EROFS,
}

_FULL_TEXTS = (
    *(os.strerror(code) for code in _FULL),  # FAISS, safetensors and DuckDB quote the operating system
    "failed to offload data block",  # DuckDB
    "Cannot write binary data",  # LightGBM
    "PytorchStreamWriter failed writing",  # torch
    "unexpected pos",  # torch, when closing what it could not write
)
_UNWRITABLE_TEXTS = (
    "is not available for writes",  # LightGBM
    "serializing: I/O error",  # safetensors
)


@contextmanager
def storage_errors(path: Path, advice: str = "choose another place") -> Iterator[None]:
    """Turn what is raised when a disk is full or `path` cannot be written into a `StorageError` of one line."""
    try:
        yield
    except KBQAError:
        raise
    except Exception as error:
        if is_full(error):
            raise StorageError(
                f"{path}: the disk is full or a size limit was met; free space, then run again"
            ) from error
        if isinstance(error, OSError) and error.errno in _STORAGE:
            raise StorageError(f"{path}: cannot be written ({error.strerror or error}); {advice}") from error
        if any(text in str(error) for text in _UNWRITABLE_TEXTS):
            raise StorageError(f"{path}: cannot be written ({' '.join(str(error).split())}); {advice}") from error
        raise


def is_full(error: Exception) -> bool:
    """Say whether an error means a full disk or a size limit, in the words of whichever library raised it."""
    if isinstance(error, OSError) and error.errno in _FULL:
        return True
    return any(text in str(error) for text in _FULL_TEXTS)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Lend a temporary sibling to write to; it becomes `path` when the block ends well and is deleted otherwise.

    Raises: StorageError when the folder cannot be written or the disk is full.
    """
    part = _sibling(path, "part")
    try:
        with storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield part
            sync(part)
            part.replace(path)
            sync(path.parent)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


@contextmanager
def replacing_text(path: Path) -> Iterator[TextIO]:
    """Lend a UTF-8 text stream (Unix line ends) whose content becomes the file `path` when the block ends well.

    A lone surrogate, which UTF-8 cannot hold, becomes a question mark. Raises: StorageError as `replacing`.
    """
    with replacing(path) as part, part.open("w", encoding="utf-8", errors="replace", newline="\n") as stream:
        yield stream


@contextmanager
def replacing_folder(path: Path, *, holds: str) -> Iterator[Path]:
    """Lend an empty temporary sibling folder that takes the place of `path` when the block ends well.

    What was in `path` is gone then, and untouched otherwise.

    Raises: StorageError as `replacing`, and where `path` is neither absent, nor empty, nor has a file named `holds`.
    """
    check_replaceable(path, holds)
    path = path.resolve()
    part = _sibling(path, "part")
    try:
        with storage_errors(path):
            part.mkdir(parents=True)
            yield part
            check_replaceable(path, holds)
            put_in_place(part, path)
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextmanager
def filling_folder(path: Path, last: tuple[str, ...] = ()) -> Iterator[Path]:
    """Lend a temporary sibling folder whose files move into the folder `path`, beside its others, when the block ends.

    The files named in `last` move last: what makes a folder a model comes when the rest is there. Raises: StorageError
    as `replacing`.
    """
    path = path.resolve()
    part = _sibling(path, "part")
    try:
        with storage_errors(path):
            path.mkdir(parents=True, exist_ok=True)
            part.mkdir()
            yield part
            _share(part)
            sync_tree(part)
            for file in sorted(part.iterdir(), key=lambda p: (p.name in last, p.name)):
                file.replace(path / file.name)
            sync(path)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def check_replaceable(path: Path, holds: str) -> None:
    """Make sure that no folder is replaced but an empty one or one that has a file named `holds`.

    Raises: StorageError.
    """
    with storage_errors(path):
        if not is_replaceable(path, holds):
            raise StorageError(
                f"'{path}': there already, and without a {holds}; it is left as it is, choose another folder"
            )
        if holds_current_folder(path):
            raise StorageError(f"'{path}': the folder you are in, which cannot be replaced; choose another folder")


def is_replaceable(path: Path, holds: str) -> bool:
    """Say whether nothing of the user's is lost when `path` is replaced: absent, empty, or with a file `holds`."""
    if not path.is_dir():
        return not path.exists()
    return (path / holds).is_file() or not any(path.iterdir())


def holds_current_folder(path: Path) -> bool:
    """Say whether a folder is, or holds, the one that the process is in: replaced, that one would be gone."""
    return path.exists() and Path.cwd().is_relative_to(path.resolve())


def put_in_place(part: Path, path: Path) -> None:
    """Let the folder `part` take the place of the folder `path`, if there is one; an OSError leaves the old one.

    Where the system cannot exchange the two at once, a kill can leave the old folder aside as `.NAME.old-*`.
    """
    _share(part)
    sync_tree(part)
    if not path.exists():
        part.rename(path)
    elif not exchange(part, path):
        _exchange_in_steps(part, path)
    sync(path.parent)
    shutil.rmtree(part, ignore_errors=True)


def _exchange_in_steps(part: Path, path: Path) -> None:
    old = _sibling(path, "old")
    path.rename(old)
    try:
        part.rename(path)
    except OSError:
        old.rename(path)
        raise
    # What is half deleted must not look like an old index that is wanted back.
    old.rename(part)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock on `path`, which need not exist, against other processes; its file lies beside it meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(f".{path.name}.lock")
    while True:
        with lock.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if not _is_at(file.fileno(), lock):  # removed by the one who held it
                continue
            try:
                yield
            finally:
                lock.unlink(missing_ok=True)
            return


def _is_at(descriptor: int, path: Path) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(descriptor), path.stat())
    return False


def sync(path: Path) -> None:
    """Make sure that a file, or a folder's list of files, has reached the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Make sure that a folder, with all that is in it, has reached the disk."""
    for path in folder.rglob("*"):
        sync(path)
    sync(folder)


def _share(folder: Path) -> None:
    """Let those who may read the folder read its files: safetensors writes for the owner alone."""
    for path in folder.rglob("*"):
        path.chmod(path.stat().st_mode | folder.stat().st_mode & 0o444)


def _sibling(path: Path, kind: str) -> Path:
    return path.with_name(f".{path.name}.{kind}-{token_hex(4)}")
