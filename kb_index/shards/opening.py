"""How an index is opened: as a whole or without shards that are missing, its shards here or in Ray's actors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kb_index.errors import InputError
from kb_index.manifest import Manifest
from kb_index.opening import open_steadily
from kb_index.shards.asking import Asking, LocalShards
from kb_index.shards.view import ShardedView
from kb_index.view import View

__all__ = ["AS_USUAL", "Engine", "Opening"]

Engine = Literal["local", "ray"]


@dataclass(frozen=True, slots=True)
class Opening:
    """The options of `KnowledgeBase.open`; an index that is in no shards is opened here in any case."""

    partial: bool = False
    engine: Engine = "local"

    def __post_init__(self) -> None:
        if self.engine not in ("local", "ray"):
            raise InputError(f"engine {self.engine!r}: expected local or ray")

    def open(self, folder: Path) -> View | ShardedView:
        """Open an index folder. Raises: as `KnowledgeBase.open`."""
        return open_steadily(folder, self._open)

    def _open(self, folder: Path, manifest: Manifest) -> View | ShardedView:
        return ShardedView(folder, manifest, self._shards) if manifest.shards else View(folder, manifest)

    def _shards(self, folder: Path, manifest: Manifest) -> Asking:
        if self.engine == "local":
            return LocalShards(folder, manifest, self.partial)
        from kb_index.shards.ray_asking import RayShards

        return RayShards(folder, manifest, self.partial)


AS_USUAL = Opening()
