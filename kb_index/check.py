"""Whether an index is, byte for byte, what was built: reads all of it, where opening one looks at the ends of files.

This module finds damage and mends none: an index is built again, or copied again from where it was whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from kb_index.errors import IndexFolderError
from kb_index.manifest import MANIFEST_FILE, RANKER_FOLDER, FileInfo, Manifest, describe_file, read_manifest
from kb_index.shards.layout import shard_folder
from kb_index.swap import find_index
from kb_index.view import open_view

__all__ = ["Damage", "IndexCheck", "check_index"]


class Damage(NamedTuple):
    """A file of an index, by its path in there, and what is wrong with it."""

    file: str
    reason: str


@dataclass(frozen=True)
class IndexCheck:
    """What was found in an index of so many files and bytes, by its manifest."""

    folder: str
    triples: int
    files: int
    bytes: int
    damage: tuple[Damage, ...]


def check_index(folder: Path) -> IndexCheck:
    """Read every file of an index and list those that are damaged; opens it where none is.

    Raises:
        IndexFolderError: the folder is no index, its manifest is damaged, or it is of another schema version.
    """
    place = find_index(folder)
    manifest = read_manifest(place)
    files, unread = _all_files(manifest, place)
    damage = (*unread, *_damaged(files, place), *_foreign(files, [u.file for u in unread], place))
    if damage and read_manifest(find_index(folder)) != manifest:
        return check_index(folder)  # replaced while it was read
    for part in () if damage else [shard_folder(place, shard) for shard in manifest.shards] or [place]:
        open_view(part).close()
    size = sum(info.bytes for info in files.values())
    return IndexCheck(str(folder), manifest.counts.triples, len(files), size, damage)


def _all_files(manifest: Manifest, folder: Path) -> tuple[dict[str, FileInfo], list[Damage]]:
    """List the files of an index and of its shards, and the shards' manifests that are not what they were."""
    files, damage = dict(manifest.files), list[Damage]()
    for shard, sha256 in manifest.shards.items():
        place = shard_folder(folder, shard)
        name = place.relative_to(folder).as_posix()
        try:
            described = describe_file(place / MANIFEST_FILE)
            of_shard = read_manifest(place).files if described.sha256 == sha256 else None
        except (OSError, IndexFolderError):
            of_shard = None
        if of_shard is None:
            damage.append(Damage(f"{name}/{MANIFEST_FILE}", "is missing, or is not the one that was built"))
        else:
            files |= {f"{name}/{file}": info for file, info in of_shard.items()}
            files[f"{name}/{MANIFEST_FILE}"] = described
    return files, damage


def _damaged(files: Mapping[str, FileInfo], folder: Path) -> Iterator[Damage]:
    for name, info in files.items():
        reason = _reason(folder / name, info)
        if reason:
            yield Damage(name, reason)


def _reason(path: Path, info: FileInfo) -> str | None:
    if not path.is_file():
        return "is missing"
    try:
        if (found := path.stat().st_size) != info.bytes:
            return f"has {found} bytes, expected {info.bytes}"
        return None if describe_file(path).sha256 == info.sha256 else "has other content than was written"
    except OSError as error:
        return f"cannot be read ({error.strerror})"


def _foreign(files: Mapping[str, FileInfo], unread: Sequence[str], folder: Path) -> Iterator[Damage]:
    """Find what no manifest lists, but for files beside a manifest that is damaged itself."""
    unknown = tuple(file.removesuffix(MANIFEST_FILE) for file in unread)
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        known = name.as_posix() in files or name.parts[0] == RANKER_FOLDER or name.as_posix() == MANIFEST_FILE
        known = known or name.as_posix().startswith(unknown)
        if path.is_file() and not known and not any(part.startswith(".") for part in name.parts):
            yield Damage(name.as_posix(), "is no file of this index; remove it")
