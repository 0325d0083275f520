"""The checkpoints of a training in a folder `checkpoints/`, of which the newest may be cut off by a kill."""

from __future__ import annotations

import json
from pathlib import Path

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
    try:
        json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True
