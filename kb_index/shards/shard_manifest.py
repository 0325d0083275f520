"""The manifests of shards, each of which the manifest of the whole names by its sha256."""

from __future__ import annotations

import hashlib
from pathlib import Path

from kb_index.errors import IndexFolderError
from kb_index.manifest import MANIFEST_FILE, Manifest, check_files, read_manifest
from kb_index.shards.layout import shard_folder

__all__ = ["check_is_built", "checked_shards", "shortened"]


def checked_shards(index: Path, manifest: Manifest) -> dict[str, Manifest]:
    """Read the manifests of all shards of an index, by name, and compare the shards' files with them.

    Raises:
        IndexFolderError: a shard is missing, damaged, or of another index.
    """
    return {name: _checked(index, name, sha256) for name, sha256 in manifest.shards.items()}


def _checked(index: Path, name: str, sha256: str) -> Manifest:
    folder = shard_folder(index, name)
    try:
        manifest = read_manifest(folder)
        check_is_built(folder, sha256)
        check_files(manifest, folder)
    except IndexFolderError as error:
        reason = shortened(str(error))
        raise IndexFolderError(f"index '{index}': shard {name} is lost ({reason}); copy it there again") from error
    return manifest


def check_is_built(folder: Path, sha256: str) -> None:
    """Make sure that a folder with a manifest is the shard whose manifest has this fingerprint.

    Raises:
        IndexFolderError: it is another one.
    """
    if hashlib.sha256((folder / MANIFEST_FILE).read_bytes()).hexdigest() != sha256:
        raise IndexFolderError(f"'{folder}' is not the shard that was built; copy it there again, or build again")


def shortened(reason: str) -> str:
    """What happened, without what to do where it happens to an index that stands for itself."""
    return reason.partition(";")[0]
