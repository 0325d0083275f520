"""Who asks the shards of an index: here, one after the other or in threads; `ray_asking.py` has actors do it.

A shard that cannot be asked is an error, or is missing from then on where the index was opened with `partial`: it must
not come back between two look-ups of one question, which would hide that the first one went without it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol, TypeVar

from kb_index.errors import IndexFolderError, MissingShardError
from kb_index.manifest import Manifest
from kb_index.shards.shard_manifest import shortened
from kb_index.shards.shard_view import ShardView, open_shard

__all__ = ["Asking", "LocalShards", "Missing"]

A = TypeVar("A")
T = TypeVar("T")

logger = logging.getLogger(__name__)

_WORTH_THREADS = (ShardView.nearest, ShardView.near_attributes)
"""Other look-ups take microseconds, and a thread takes fifty of them to begin."""


class Asking(Protocol):
    """Asks shards, which are known by their number."""

    @property
    def missing(self) -> tuple[str, ...]:
        """The names of the shards that are not asked."""

    def ask(self, look_up: Callable[..., T], arguments: Mapping[int, tuple[Any, ...]]) -> list[tuple[int, T]]:
        """Ask each of some shards `look_up(shard, *arguments)`, a method of `ShardView`; the missing say nothing."""

    def close(self) -> None:
        """Close the shards."""


class Missing:
    """The shards that are missing, where some may be."""

    def __init__(self, index: Path, manifest: Manifest, partial: bool) -> None:
        self._index, self._shards, self.partial = index, tuple(manifest.shards), partial
        self._missing: dict[int, str] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Their names, in the order of shards."""
        return tuple(self._missing[number] for number in sorted(self._missing))

    def left(self, arguments: Mapping[int, A]) -> list[tuple[int, A]]:
        """Leave the missing out of what some shards are to be asked.

        Raises:
            IndexFolderError: no shard is left.
        """
        if len(self._missing) == len(self._shards):
            raise IndexFolderError(f"index '{self._index}': none of its shards can be asked; copy them there again")
        return [(number, of) for number, of in arguments.items() if number not in self._missing]

    def add(self, number: int, reason: str, cause: Exception) -> None:
        """Go on without a shard.

        Raises:
            MissingShardError: that may not be.
            IndexFolderError: no other shard is left.
        """
        what = f"index '{self._index}': shard {self._shards[number]} cannot be asked ({shortened(reason)})"
        if not self.partial:
            raise MissingShardError(f"{what}; copy it there again") from cause
        if number not in self._missing:
            self._missing = {**self._missing, number: self._shards[number]}
            logger.warning("%s; the index goes on without it, and answers are partial", what)
        if len(self._missing) == len(self._shards):
            raise IndexFolderError(f"{what}, nor can the others; copy them there again") from cause


class LocalShards:
    """The shards of an index, opened in this process."""

    def __init__(self, index: Path, manifest: Manifest, partial: bool) -> None:
        self._missing = Missing(index, manifest, partial)
        self._shards: dict[int, ShardView] = {}
        with ExitStack() as opened:
            for number, (name, sha256) in enumerate(manifest.shards.items()):
                try:
                    self._shards[number] = opened.enter_context(open_shard(index, name, sha256))
                except IndexFolderError as error:
                    self._missing.add(number, str(error), error)
            self._threads = opened.enter_context(ThreadPoolExecutor(len(self._shards), "shard"))
            self._opened = opened.pop_all()

    @property
    def missing(self) -> tuple[str, ...]:
        """The names of the shards that could not be opened."""
        return self._missing.names

    def ask(self, look_up: Callable[..., T], arguments: Mapping[int, tuple[Any, ...]]) -> list[tuple[int, T]]:
        """Ask some shards, for vectors all at once: FAISS searches with one thread for one text."""
        there = [(number, self._shards[number], of) for number, of in self._missing.left(arguments)]
        if look_up not in _WORTH_THREADS:
            return [(number, look_up(shard, *of)) for number, shard, of in there]
        found = []
        begun = [(number, self._threads.submit(look_up, shard, *of)) for number, shard, of in there]
        for number, future in begun:
            try:
                found.append((number, future.result()))
            except IndexFolderError as error:  # vectors are opened when they are first asked for
                if not self._missing.partial:
                    raise
                self._missing.add(number, str(error), error)
        return found

    def close(self) -> None:
        """Close the shards."""
        self._opened.close()
