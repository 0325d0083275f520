"""Several processes that train one model, as `accelerate launch` or `torchrun` start them: who writes, who waits.

With one process nothing here imports torch.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["is_main", "main_first", "n_processes", "rank", "take_own_device"]


def is_main() -> bool:
    """Tell whether this process is the one that writes files and talks to the user."""
    return rank() == 0


def rank() -> int:
    """Give this process's number among those that train together, from 0."""
    return int(os.environ.get("RANK", "0"))


def n_processes() -> int:
    """Count the processes that train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


@contextmanager
def main_first() -> Iterator[None]:
    """Let the main process through the block before the others, which find what it wrote."""
    if n_processes() == 1:
        yield
        return
    import torch
    from accelerate import PartialState

    with PartialState(cpu=not torch.cuda.is_available()).main_process_first():
        yield


def take_own_device() -> None:
    """Let what this process loads go to its own GPU, and not all to the first."""
    import torch

    if torch.cuda.is_available() and "LOCAL_RANK" in os.environ:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
