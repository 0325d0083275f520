"""Files of triples -> one index folder -> fast look-ups; heavy libraries are loaded when they are first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from kb_index.types import AttributeMatch, Entity, EntityMatch, NameMatch, Triple

if TYPE_CHECKING:
    from kb_index.build import build_index
    from kb_index.knowledge_base import KnowledgeBase
    from kb_index.manifest import Manifest, UpdateInfo
    from kb_index.readers.sources import ReadOptions
    from kb_index.shards.build import ShardedBuild
    from kb_index.update import delete_triples, update_index

__all__ = [
    "AttributeMatch",
    "Entity",
    "EntityMatch",
    "KnowledgeBase",
    "Manifest",
    "NameMatch",
    "ReadOptions",
    "ShardedBuild",
    "Triple",
    "UpdateInfo",
    "build_index",
    "delete_triples",
    "update_index",
]

_LAZY = {
    "KnowledgeBase": "kb_index.knowledge_base",
    "Manifest": "kb_index.manifest",
    "ReadOptions": "kb_index.readers.sources",
    "ShardedBuild": "kb_index.shards.build",
    "UpdateInfo": "kb_index.manifest",
    "build_index": "kb_index.build",
    "delete_triples": "kb_index.update",
    "update_index": "kb_index.update",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)
