"""The checkpoints of a training in a folder `checkpoints/`, of which the newest may be cut off by a kill."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from zipfile import is_zipfile

__all__ = ["last_checkpoint", "step_of"]


def last_checkpoint(folder: Path) -> Path | None:
    """Find the newest checkpoint that is whole, if there is one: the Trainer writes trainer_state.json last."""
    newest_first = sorted(folder.glob("checkpoint-*"), key=step_of, reverse=True)
    return next(filter(_is_whole, newest_first), None)


def step_of(checkpoint: Path) -> int:
    """Read the number of steps from a checkpoint's name; -1 where there is none.

    >>> step_of(Path("checkpoint-50")), step_of(Path("checkpoint-old"))
    (50, -1)
    """
    number = checkpoint.name.rpartition("-")[2]
    return int(number) if number.isdecimal() else -1


def _is_whole(checkpoint: Path) -> bool:
    """Tell whether all of a checkpoint reached the disk; after a power cut any of its files may be short."""
    try:
        json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
        return all(map(_is_whole_safetensors, checkpoint.glob("*.safetensors"))) and all(
            is_zipfile(path) for pattern in ("*.pt", "*.pth") for path in checkpoint.glob(pattern)
        )
    except (OSError, ValueError, KeyError, TypeError, struct.error):
        return False


def _is_whole_safetensors(path: Path) -> bool:
    """Compare the size of the file with what its header says of its tensors."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length)) if length < path.stat().st_size else {}
    ends = [tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__"]
    return bool(path.stat().st_size == 8 + length + max(ends, default=-1))
