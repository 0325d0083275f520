"""Two paths that change places in one step, where the system can do that: Linux and macOS, on most file systems.

Between two renames a kill leaves a path with nothing at it; here there is no between.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from pathlib import Path

__all__ = ["exchange"]

# From <fcntl.h> and <linux/fs.h>, and from <sys/stdio.h> of macOS.
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_RENAME_SWAP = 2

_UNSUPPORTED = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP}


def exchange(one: Path, other: Path) -> bool:
    """Let two paths of one file system change places; False where the system or the file system has no way to.

    Raises:
        OSError: one of the paths is missing, or may not be renamed.
    """
    status = _call(os.fsencode(one), os.fsencode(other))
    if status == 0:
        return True
    code = ctypes.get_errno() if status is not None else errno.ENOSYS
    if code in _UNSUPPORTED:
        return False
    raise OSError(code, os.strerror(code), str(one), None, str(other))


def _call(one: bytes, other: bytes) -> int | None:
    """Give the status of the system's call; None where the C library has none."""
    library = ctypes.CDLL(None, use_errno=True)
    try:
        if sys.platform == "darwin":
            return int(library.renamex_np(one, other, ctypes.c_uint(_RENAME_SWAP)))
        flags = ctypes.c_uint(_RENAME_EXCHANGE)
        return int(library.renameat2(_AT_FDCWD, one, _AT_FDCWD, other, flags))
    except AttributeError:
        return None
