"""The folder of a sharded index, and the numbers that entities and triples have in the whole of it.

    manifest.json                 of the whole; lists the shards, each with the sha256 of its manifest
    shards/0000/ ...              ordinary index folders, numbered from 0
    numbering/0000.entities.npy   of each entity row of shard 0000 its id in the whole, ascending, int64
    numbering/0000.triples.npy    of each entity row the id in the whole of its first triple, int64
    encoder/ rejects.jsonl        of the whole

Ids are those that an index of the same sources without shards has: entities by their first appearance, triples by
entity and then by line.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "NUMBERING_FOLDER",
    "SHARDS_FOLDER",
    "Numbering",
    "open_numbering",
    "save_numbering",
    "shard_folder",
    "shard_name",
]

SHARDS_FOLDER = "shards"
NUMBERING_FOLDER = "numbering"


class Numbering(NamedTuple):
    """Of each entity row of a shard its id in the whole, and that of its first triple: two of (n_entities,), int64."""

    entities: NDArray[np.int64]
    triples: NDArray[np.int64]


def shard_name(number: int) -> str:
    """Name the folder of a shard, and what belongs to it.

    >>> shard_name(3)
    '0003'
    """
    return f"{number:04}"


def shard_folder(index: Path, shard: str) -> Path:
    """Give the folder of a shard by its name."""
    return index / SHARDS_FOLDER / shard


def save_numbering(index: Path, shard: str, numbering: Numbering) -> None:
    """Write the numbers of a shard into the folder of the whole."""
    folder = index / NUMBERING_FOLDER
    folder.mkdir(exist_ok=True)
    for part, numbers in numbering._asdict().items():
        np.save(folder / f"{shard}.{part}.npy", numbers.astype(np.int64, copy=False))


def open_numbering(index: Path, shard: str) -> Numbering:
    """Map the numbers of a shard into memory."""
    folder = index / NUMBERING_FOLDER
    return Numbering(*(np.asarray(np.load(folder / f"{shard}.{of}.npy", mmap_mode="r")) for of in Numbering._fields))
