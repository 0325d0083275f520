"""What a build or an update did, in a few lines of text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from kb_index.layer_build import REJECTS_FILE
from kb_index.manifest import Manifest, UpdateInfo
from kb_index.progress import StageCost
from kb_index.shards.shard_manifest import checked_shards
from kb_index.view import DELTA

__all__ = ["build_summary", "update_summary"]


def build_summary(manifest: Manifest, index: Path) -> str:
    """Tell what was built, from how many lines, in how many seconds, and what each stage took."""
    n, shards_there = manifest.counts, checked_shards(index, manifest).values()
    size = sum(map(_bytes, (manifest, *shards_there)))
    shards = f" in {len(manifest.shards)} shards" if manifest.shards else ""
    rejects = _see(index / REJECTS_FILE, n.rejected)
    return (
        f"{index}: {n.triples:,} triples of {n.entities:,} entities, {n.attributes:,} attributes, "
        f"{n.aliases:,} aliases{shards}\n"
        f"  {n.lines:,} lines, {n.duplicates:,} duplicate, {n.rejected:,} rejected{rejects}; "
        f"{_seconds(manifest.stages):.1f} s, {size / 1e6:,.1f} MB\n"
        f"{_costs(manifest.stages)}"
    )


def update_summary(info: UpdateInfo, index: Path) -> str:
    """Tell what an update added and removed, from how many lines, in how many seconds, and what each stage took."""
    changed = info.added + info.removed + info.restated
    restated = f", {info.restated:,} changed in who states them" if info.restated else ""
    idle = info.lines - info.rejected - changed
    lines = f"; {info.lines:,} lines, {max(0, idle):,} that change nothing more, {info.rejected:,} rejected"
    return (
        f"{index}: {info.added:,} triples added, {info.removed:,} removed{restated} in {_seconds(info.stages):.1f} s"
        + (lines if info.lines else "")
        + _see(_rejects(index), info.rejected if changed else 0)
        + ("\n" + _costs(info.stages) if changed else "; the index is as it was")
    )


def _bytes(manifest: Manifest) -> int:
    return sum(file.bytes for file in manifest.files.values())


def _rejects(index: Path) -> Path:
    """Where an update left its rejected lines: in the later layer, or at the end where all was built again."""
    later = index / DELTA / REJECTS_FILE
    return later if later.is_file() else index / REJECTS_FILE


def _see(path: Path, rejected: int) -> str:
    return f" (see {path})" if rejected else ""


def _seconds(stages: Mapping[str, StageCost]) -> float:
    return sum(cost.seconds for cost in stages.values())


def _costs(stages: Mapping[str, StageCost]) -> str:
    costs = (f"{name} {cost.seconds:.1f} s {cost.peak_bytes / 1e9:.1f} GB" for name, cost in stages.items())
    return "  " + ", ".join(costs)
