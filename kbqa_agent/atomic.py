"""Files and folders that appear whole or not at all: written to a sibling, synced, then renamed into place."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO
from uuid import uuid4

from kb_index.errors import StorageError

__all__ = ["replacing", "replacing_folder", "replacing_text"]

# Other errors of the operating system, such as a lost connection, come from what the block does and pass through.
_STORAGE = {
    errno.EACCES,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EIO,
    errno.EISDIR,
    errno.ENAMETOOLONG,
    errno.ENOENT,
    errno.ENOSPC,
    errno.ENOTDIR,
    errno.EPERM,
    errno.EROFS,
}


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Lend a temporary sibling to write to; it becomes `path` when the block ends well and is deleted otherwise.

    Raises: StorageError when the folder cannot be written or the disk is full.
    """
    part = path.with_name(f".{path.name}.{uuid4().hex[:8]}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        part.replace(path)
    except OSError as error:
        if error.errno not in _STORAGE:
            raise
        reason = error.strerror or error
        raise StorageError(f"{path}: cannot be written ({reason}); free some space or choose another place") from error
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
        stream.flush()
        os.fsync(stream.fileno())


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Lend an empty temporary sibling folder that takes the place of `path` when the block ends well.

    What was in `path` is gone then, and untouched otherwise. Raises: StorageError as `replacing`.
    """
    part = path.with_name(f".{path.name}.{uuid4().hex[:8]}.part")
    old = path.with_name(f".{path.name}.{uuid4().hex[:8]}.old")
    try:
        part.mkdir(parents=True)
        yield part
        if path.exists():
            path.rename(old)
        part.rename(path)
    except OSError as error:
        if error.errno not in _STORAGE:
            raise
        reason = error.strerror or error
        raise StorageError(f"{path}: cannot be written ({reason}); free some space or choose another place") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
        if path.exists():
            shutil.rmtree(old, ignore_errors=True)
        elif old.exists():
            old.rename(path)
