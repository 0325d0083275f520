"""Shards asked in Ray's actors, one for each, on whichever machines of a cluster have room for them.

The index must lie under the same path on all of them. Ray starts an actor that died again, and asks it again; where it
cannot, or that takes too long, the shard is missing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

from kb_index.errors import KBQAError
from kb_index.manifest import Manifest
from kb_index.shards.asking import Missing
from kb_index.shards.shard_view import ShardView, open_shard

__all__ = ["RayShards"]

T = TypeVar("T")

RESTARTS = 3
"""So often a shard may die, or lose its machine, until it is missing."""
AT_ONCE = 4
"""So many threads' look-ups an actor takes at the same time."""
OPENING_SECONDS = 120.0
ANSWER_SECONDS = 60.0
"""Time to answer, and to start again where an actor died."""


class _ShardActor:
    """A shard that is opened when it is first asked, since what a constructor raises would not arrive as itself."""

    def __init__(self, index: Path, name: str, sha256: str) -> None:
        self._place = index, name, sha256
        self._shard: ShardView | None = None

    def look_up(self, name: str, arguments: tuple[Any, ...]) -> Any:
        """Give what a method of the shard does; an error of ours as a value, as Ray would make another of it."""
        try:
            self._shard = self._shard or open_shard(*self._place)
            return getattr(self._shard, name)(*arguments)
        except KBQAError as error:
            return error


class RayShards:
    """The shards of an index, each opened by an actor of the cluster that `ray` is connected to.

    Raises:
        IndexFolderError: a shard cannot be opened, or none can.
    """

    def __init__(self, ray: Any, index: Path, manifest: Manifest, partial: bool) -> None:
        self._missing = Missing(index, manifest, partial)
        self._ray = ray
        with ExitStack() as opened:
            actor = ray.remote(_ShardActor).options(
                max_restarts=RESTARTS, max_task_retries=-1, max_concurrency=AT_ONCE, scheduling_strategy="SPREAD"
            )
            self._actors = [actor.remote(index.resolve(), *shard) for shard in manifest.shards.items()]
            opened.callback(self._end)
            self._ask(ShardView.called, dict.fromkeys(range(len(self._actors)), ([],)), OPENING_SECONDS)
            self._opened = opened.pop_all()

    @property
    def missing(self) -> tuple[str, ...]:
        """The names of the shards that could not be opened, or have been lost."""
        return self._missing.names

    def ask(self, look_up: Callable[..., T], arguments: Mapping[int, tuple[Any, ...]]) -> list[tuple[int, T]]:
        """Ask some shards, all at once."""
        return self._ask(look_up, arguments, ANSWER_SECONDS)

    def close(self) -> None:
        """End the actors."""
        self._opened.close()

    def _ask(
        self, look_up: Callable[..., T], arguments: Mapping[int, tuple[Any, ...]], seconds: float
    ) -> list[tuple[int, T]]:
        asked = [
            (number, self._actors[number].look_up.remote(look_up.__name__, of))
            for number, of in self._missing.left(arguments)
        ]
        found, errors = [], self._ray.exceptions
        end = time.monotonic() + seconds  # of all, since all were asked at once
        for number, answer in asked:
            try:
                said = self._ray.get(answer, timeout=max(0.0, end - time.monotonic()))
            except errors.GetTimeoutError as error:
                self._missing.add(number, f"no answer in {seconds:.0f} seconds", error)
            except (errors.RayActorError, errors.NodeDiedError, errors.ObjectLostError) as error:
                self._missing.add(number, "its actor has died", error)
            else:
                if not isinstance(said, KBQAError):
                    found.append((number, said))
                else:
                    self._missing.add(number, said.args[0], said)
        return found

    def _end(self) -> None:
        for actor in self._actors:
            self._ray.kill(actor)
