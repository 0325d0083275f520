"""What an index folder says about itself; written last, so that a folder with a manifest is a finished index.

This module reads and writes `manifest.json` and compares it with the files beside it. It does not open them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from kb_index.atomic import replacing_text, sync_tree
from kb_index.errors import IndexFolderError
from kb_index.progress import StageCost
from kb_index.readers.sources import SourceFile

__all__ = [
    "RANKER_FOLDER",
    "SCHEMA_VERSION",
    "Counts",
    "EncoderInfo",
    "FileInfo",
    "Manifest",
    "UpdateInfo",
    "check_files",
    "describe_file",
    "describe_files",
    "manifest_to_json",
    "read_manifest",
    "write_manifest",
]

SCHEMA_VERSION = 3
RANKER_FOLDER = "ranker"
"""Inside an index, the ranker that was trained over it; no part of what the manifest lists."""
MANIFEST_FILE = "manifest.json"

_MEND = "build it again or copy the whole folder"

ENDS_BYTES = 1 << 16
"""So many bytes at each end of a file are compared when an index is opened."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Numbers of things; `lines` are those that are not blank, and are triples, duplicates or rejected.

    `attributes` are counted as written, `aliases` as pairs of an alias and an entity, twice
    where the entity is both named so and called so in an attribute.
    """

    lines: int
    triples: int
    duplicates: int
    rejected: int
    entities: int
    attributes: int
    aliases: int


@dataclass(frozen=True, slots=True)
class EncoderInfo:
    """The encoder an index was made with, and the length of its vectors."""

    name: str
    dim: int


class FileInfo(NamedTuple):
    """A file of the index: its size, the sha256 of all of it, and the sha256 of its ends, which is quick to check."""

    bytes: int
    sha256: str
    ends: str


@dataclass(frozen=True, slots=True)
class UpdateInfo:
    """The record of an update, whose `kind` is `add` or `delete`; lines that did neither had been there, or had not.

    `restated` counts the lines' statements that came or went with a triple staying: its extra columns changed.
    """

    created: str
    kbqa_version: str
    kind: str
    sources: tuple[SourceFile, ...]
    lines: int
    rejected: int
    added: int
    removed: int
    restated: int
    stages: Mapping[str, StageCost]


@dataclass(frozen=True, slots=True)
class Manifest:
    """The record of a build and of the updates since; `created` is ISO 8601 in UTC, `files` are listed by their path.

    Of `counts`, `lines`, `duplicates` and `rejected` are the build's, and the others say what the index holds now.
    `shards` maps the shards of a sharded index to the sha256 of their manifests; their files are in those.
    """

    schema_version: int
    created: str
    kbqa_version: str
    counts: Counts
    sources: tuple[SourceFile, ...]
    encoder: EncoderInfo
    options: Mapping[str, str | int]
    files: Mapping[str, FileInfo]
    stages: Mapping[str, StageCost]
    updates: tuple[UpdateInfo, ...] = ()
    shards: Mapping[str, str] = field(default_factory=dict)


def write_manifest(manifest: Manifest, folder: Path) -> None:
    """Write the manifest once all other files of the folder have reached the disk, and make sure that it has too."""
    sync_tree(folder)
    content = manifest_to_json(manifest)
    with replacing_text(folder / MANIFEST_FILE) as file:
        json.dump(content | {"checksum": _checksum(content)}, file, ensure_ascii=False, indent=2)
        file.write("\n")


def manifest_to_json(manifest: Manifest) -> dict[str, Any]:
    """Give what `manifest.json` says, without its checksum."""
    content = _record_to_json(manifest)
    if not manifest.shards:  # a version from before shards reads it too
        del content["shards"]
    return content | {
        "files": {name: info._asdict() for name, info in manifest.files.items()},
        "updates": [_record_to_json(update) for update in manifest.updates],
    }


def _record_to_json(record: Manifest | UpdateInfo) -> dict[str, Any]:
    return asdict(record) | {
        "sources": [source._asdict() for source in record.sources],
        "stages": {name: cost._asdict() for name, cost in record.stages.items()},
    }


def read_manifest(folder: Path) -> Manifest:
    """Read a folder's manifest.

    Raises:
        IndexFolderError: no such folder, no index, a damaged manifest, or another schema version.
    """
    path = folder / MANIFEST_FILE
    if not folder.exists():
        raise IndexFolderError(f"index '{folder}': no such folder; make one: kbqa index FILE --out '{folder}'")
    if not path.is_file():
        raise IndexFolderError(
            f"index '{folder}': no {MANIFEST_FILE}, so no index; expected a folder made by: kbqa index FILE --out DIR"
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if (version := content["schema_version"]) == SCHEMA_VERSION:
            return _parse(content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(folder, error) from error
    raise IndexFolderError(
        f"index '{folder}': schema version {version!r}, expected {SCHEMA_VERSION}; build it again: "
        f"kbqa index FILE --out '{folder}'"
    )


def _damaged(folder: Path, error: Exception) -> IndexFolderError:
    reason = str(error)
    if isinstance(error, json.JSONDecodeError):
        reason = f"no JSON from line {error.lineno}, character {error.colno} on"
    elif isinstance(error, UnicodeDecodeError):
        reason = f"no UTF-8 from byte {error.start} on"
    elif isinstance(error, KeyError):
        reason = f"it lacks {error}"
    elif isinstance(error, OSError):
        reason = error.strerror or reason
    return IndexFolderError(f"index '{folder}': {MANIFEST_FILE} is damaged ({reason}); build it again")


def _checksum(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _parse(content: dict[str, Any]) -> Manifest:
    if content.pop("checksum") != _checksum(content):
        raise ValueError("it was changed after it was written")
    parts = {
        "counts": Counts(**content["counts"]),
        "encoder": EncoderInfo(**content["encoder"]),
        "files": {name: FileInfo(**info) for name, info in content["files"].items()},
        "updates": tuple(UpdateInfo(**_parse_record(update)) for update in content["updates"]),
    }
    return Manifest(**(_parse_record(content) | parts))


def _parse_record(content: dict[str, Any]) -> dict[str, Any]:
    return content | {
        "sources": tuple(SourceFile(**source) for source in content["sources"]),
        "stages": {name: StageCost(**cost) for name, cost in content["stages"].items()},
    }


def describe_files(folder: Path) -> dict[str, FileInfo]:
    """Measure and fingerprint all files of an index but the manifest and hidden ones."""
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith("."))
    names = ((path.relative_to(folder).as_posix(), path) for path in paths)
    return {name: describe_file(path) for name, path in names if name != MANIFEST_FILE}


def describe_file(path: Path) -> FileInfo:
    """Measure and fingerprint a file."""
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return FileInfo(path.stat().st_size, sha256, _ends(path))


def _ends(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(ENDS_BYTES)
        file.seek(max(len(start), path.stat().st_size - ENDS_BYTES))
        return hashlib.sha256(start + file.read()).hexdigest()


def check_files(manifest: Manifest, folder: Path) -> None:
    """Compare the files of an index with its manifest, by size and by their ends.

    Raises:
        IndexFolderError: a file is missing, has another size, or begins or ends in another way.
    """
    for name, info in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise IndexFolderError(f"index '{folder}': {name} is missing; {_MEND}")
        if (found := path.stat().st_size) != info.bytes:
            raise IndexFolderError(f"index '{folder}': {name} has {found} bytes, expected {info.bytes}; {_MEND}")
        if _ends(path) != info.ends:
            raise IndexFolderError(f"index '{folder}': {name} is not the file that was built; {_MEND}")
