"""What an index folder says about itself; written last, so that a folder with a manifest is a finished index.

This module reads and writes `manifest.json` and compares it with the files beside it. It does not open them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kb_index.atomic import replacing_text, sync_tree
from kb_index.errors import IndexFolderError
from kb_index.readers import SourceFile

__all__ = ["SCHEMA_VERSION", "Counts", "EncoderInfo", "Manifest", "check_files", "read_manifest", "write_manifest"]

SCHEMA_VERSION = 1
MANIFEST_FILE = "manifest.json"


@dataclass(frozen=True, slots=True)
class Counts:
    """Numbers of things; `lines` are those that are not blank, and are triples, duplicates or rejected.

    `attributes` are counted as written, `aliases` as pairs of an alias and an entity.
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


@dataclass(frozen=True, slots=True)
class Manifest:
    """The record of a build; `created` is ISO 8601 in UTC, `files` maps a path in the folder to its size in bytes."""

    schema_version: int
    created: str
    kbqa_version: str
    counts: Counts
    sources: tuple[SourceFile, ...]
    encoder: EncoderInfo
    options: Mapping[str, str | int]
    files: Mapping[str, int]
    seconds: Mapping[str, float]


def write_manifest(manifest: Manifest, folder: Path) -> None:
    """Write the manifest once all other files of the folder have reached the disk, and make sure that it has too."""
    sync_tree(folder)
    content = asdict(manifest) | {"sources": [source._asdict() for source in manifest.sources]}
    with replacing_text(folder / MANIFEST_FILE) as file:
        json.dump(content, file, ensure_ascii=False, indent=2)
        file.write("\n")


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
        version = content["schema_version"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IndexFolderError(f"index '{folder}': {MANIFEST_FILE} is damaged ({error!r}); build it again") from error
    if version != SCHEMA_VERSION:
        raise IndexFolderError(
            f"index '{folder}': schema version {version!r}, expected {SCHEMA_VERSION}; build it again: "
            f"kbqa index FILE --out '{folder}'"
        )
    try:
        return _parse(content)
    except (KeyError, TypeError) as error:
        raise IndexFolderError(f"index '{folder}': {MANIFEST_FILE} is damaged ({error!r}); build it again") from error


def _parse(content: dict[str, Any]) -> Manifest:
    parts = {
        "counts": Counts(**content["counts"]),
        "sources": tuple(SourceFile(**source) for source in content["sources"]),
        "encoder": EncoderInfo(**content["encoder"]),
    }
    manifest = Manifest(**(content | parts))
    _check_types("counts", asdict(manifest.counts).values(), int)
    _check_types("sources", (text for source in manifest.sources for text in (source.path, source.sha256)), str)
    _check_types("sources", (source.bytes for source in manifest.sources), int)
    _check_types("encoder", [manifest.encoder.name], str)
    _check_types("encoder", [manifest.encoder.dim], int)
    _check_types("created, kbqa_version", [manifest.created, manifest.kbqa_version], str)
    _check_types("options, files, seconds", [manifest.options, manifest.files, manifest.seconds], dict)
    _check_types("options", manifest.options.values(), str, int)
    _check_types("files", manifest.files.values(), int)
    _check_types("seconds", manifest.seconds.values(), int, float)
    return manifest


def _check_types(key: str, values: Iterable[object], *types: type) -> None:
    for value in values:
        if not isinstance(value, types):
            raise TypeError(f"{key}: {value!r} is not of type {' or '.join(kind.__name__ for kind in types)}")


def check_files(manifest: Manifest, folder: Path) -> None:
    """Compare the files of an index with its manifest, by size.

    Raises:
        IndexFolderError: a file is missing or has another size.
    """
    for name, size in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise IndexFolderError(f"index '{folder}': {name} is missing; build it again or copy the whole folder")
        if (found := path.stat().st_size) != size:
            raise IndexFolderError(
                f"index '{folder}': {name} has {found} bytes, expected {size}; build it again or copy the whole folder"
            )
