"""How an index is opened: as a whole or without shards that are missing, its shards here or in Ray's actors."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from kb_index.errors import InputError
from kb_index.manifest import Manifest, read_manifest
from kb_index.opening import open_steadily
from kb_index.ray_session import ray_session
from kb_index.shards.asking import Asking, LocalShards
from kb_index.shards.view import ShardedView
from kb_index.swap import find_index
from kb_index.view import View

__all__ = ["AS_USUAL", "Engine", "Opening"]

Engine = Literal["local", "ray"]


@dataclass(frozen=True, slots=True)
class Opening:
    """The options of `KnowledgeBase.open`."""

    partial: bool = False
    engine: Engine = "local"
    ray_address: str | None = None

    def open(self, folder: Path, held: ExitStack) -> View | ShardedView:
        """Open an index folder; a connection to Ray, if there is none yet, ends with `held`.

        Raises: as `KnowledgeBase.open`.
        """
        if self.engine == "local":
            return open_steadily(folder, self._opened_here)
        if self.engine != "ray":
            raise InputError(f"engine {self.engine!r}: expected local or ray")
        if not read_manifest(find_index(folder)).shards:
            raise InputError(
                f"index '{folder}': in no shards, and Ray asks those; leave out --engine ray, or build it with --shards"
            )
        ray = held.enter_context(ray_session(self.ray_address))
        return open_steadily(folder, lambda place, manifest: ShardedView(place, manifest, self._in_actors(ray)))

    def _opened_here(self, folder: Path, manifest: Manifest) -> View | ShardedView:
        return ShardedView(folder, manifest, self._here) if manifest.shards else View(folder, manifest)

    def _here(self, folder: Path, manifest: Manifest) -> Asking:
        return LocalShards(folder, manifest, self.partial)

    def _in_actors(self, ray: Any) -> Callable[[Path, Manifest], Asking]:
        from kb_index.shards.ray_asking import RayShards

        return lambda folder, manifest: RayShards(ray, folder, manifest, self.partial)


AS_USUAL = Opening()
