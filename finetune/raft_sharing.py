"""How the processes of a RAFT share its work: batches of prompts, and files that the main one writes.

With one process, which does it all, this is a loop and an `if`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from finetune.processes import from_main, gathered, is_main, n_processes, rank, wait_for_all

__all__ = ["for_each", "made_once"]

AT_ONCE = 16
"""Prompts that go through a model together."""

Item = TypeVar("Item")
Made = TypeVar("Made")


def for_each(
    items: Sequence[Item],
    make: Callable[[list[Item]], Sequence[Made]],
    text_of: Callable[[Item], str],
    name: str,
    progress: bool = True,
) -> list[Made]:
    """Give, in the order of the items, what `make` makes of each, batch by batch of those whose texts are alike long.

    The processes take turns with the batches, which are the same however many processes there are: so is what comes
    out. `name` stands before the progress bar.
    """
    order = sorted(range(len(items)), key=lambda i: -len(text_of(items[i])))
    batches = [order[i : i + AT_ONCE] for i in range(0, len(order), AT_ONCE)][rank() :: n_processes()]
    made: dict[int, Made] = {}
    hidden = None if progress and is_main() else True
    with tqdm(total=sum(map(len, batches)), desc=name, unit="prompt", disable=hidden) as bar:
        for places in batches:
            made |= zip(places, make([items[i] for i in places]), strict=True)
            bar.update(len(places))
    every = dict(gathered(list(made.items())))
    return [every[i] for i in range(len(items))]


def made_once(path: Path, make: Callable[[], Made], write: Callable[[Made, Path], object]) -> None:
    """Make the file at `path` where it is missing: all processes may share in `make`, and the main one writes.

    It is there, whole, when a process comes back. The main process says whether it is missing: on a disk of several
    machines another may see it later, and would wait alone for work that is shared.
    """
    if not from_main(path.exists):
        made = make()
        if is_main():
            write(made, path)
    wait_for_all()
