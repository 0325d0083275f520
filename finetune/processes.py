"""Several processes that train one model, as `accelerate launch` or `torchrun` start them: who writes, who waits.

With one process nothing here imports torch. What processes hand each other goes over their own connection, never
through a file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

__all__ = [
    "from_main",
    "gathered",
    "is_main",
    "is_restarted",
    "main_first",
    "n_processes",
    "rank",
    "take_own_device",
    "wait_for_all",
]

T = TypeVar("T")

PATIENCE = timedelta(hours=2)
"""How long a process waits for the others; the main one may be reading questions. The launcher sees to dead ones."""


def is_main() -> bool:
    """Tell whether this process is the one that writes files and talks to the user."""
    return rank() == 0


def rank() -> int:
    """Give this process's number among those that train together, from 0."""
    return int(os.environ.get("RANK", "0"))


def n_processes() -> int:
    """Count the processes that train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_restarted() -> bool:
    """Tell whether the launcher started all processes again after one had died (`torchrun --max-restarts`)."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0


@contextmanager
def main_first() -> Iterator[None]:
    """Let the main process through the block before the others, which find what it wrote."""
    if n_processes() == 1:
        yield
        return
    with _connected().main_process_first():
        yield


def wait_for_all() -> None:
    """Go on when all processes have come here."""
    if n_processes() > 1:
        _connected().wait_for_everyone()


def from_main(make: Callable[[], T]) -> T:
    """Let the main process make something, and give it to all."""
    if n_processes() == 1:
        return make()
    from accelerate.utils import broadcast_object_list

    _connected()
    made: list[Any] = [make() if is_main() else None]
    found: T = broadcast_object_list(made)[0]
    return found


def gathered(own: Sequence[T]) -> list[T]:
    """Put together what each process has, and give all of it to each."""
    if n_processes() == 1:
        return list(own)
    from accelerate.utils import gather_object

    _connected()
    return list(gather_object(list(own)))


def take_own_device() -> None:
    """Let what this process loads go to its own GPU, and not all to the first."""
    import torch

    if torch.cuda.is_available() and "LOCAL_RANK" in os.environ:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))


def _connected() -> Any:
    """Connect the processes, if they are not yet."""
    import torch
    from accelerate import PartialState

    if torch.distributed.is_initialized():
        return PartialState(cpu=not torch.cuda.is_available())
    return PartialState(cpu=not torch.cuda.is_available(), timeout=PATIENCE)
