"""Files that appear whole or not at all: written to a sibling, synced, then renamed into place."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO
from uuid import uuid4

from kb_index.errors import StorageError

__all__ = ["replacing", "replacing_text"]


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
        reason = error.strerror or error
        raise StorageError(f"{path}: cannot be written ({reason}); free some space or choose another place") from error
    finally:
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
