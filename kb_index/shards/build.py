"""From sources to a sharded index: read and divide, build each shard, put together what only the whole knows.

`steps.py` does these. The index grows in a hidden folder beside `out`, in which everything appears whole when it is
finished: a build that was killed goes on from there when it is run again with the same sources and options. Then it
takes the place of `out`.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kb_index.atomic import storage_errors
from kb_index.build import package_version
from kb_index.encoder import CHAR_STATIC, load_encoder
from kb_index.errors import InputError
from kb_index.manifest import MANIFEST_FILE, SCHEMA_VERSION, Manifest, read_manifest
from kb_index.readers.remote import without_keys
from kb_index.readers.sources import ReadOptions, Source, require_sources
from kb_index.shards.engines import Engine, LocalEngine
from kb_index.shards.partition import Chunk, Part, partition
from kb_index.shards.steps import Building
from kb_index.shards.work import Work
from kb_index.swap import check_out, replaced_folder

__all__ = ["MAX_SHARDS", "ShardedBuild"]

MAX_SHARDS = 9999


@dataclass(frozen=True)
class ShardedBuild:
    """How to build an index of so many shards; the other fields are those of `build_index`.

    `gpus` is what each task that encodes is given on a Ray cluster, perhaps a fraction (None: one, if the cluster has
    any and the encoder is not the default); `chunk_bytes` about how much of the sources one task reads (None: 16 MiB,
    or a thousandth).
    """

    shards: int
    engine: Engine = field(default_factory=LocalEngine)
    options: ReadOptions = field(default_factory=ReadOptions)
    encoder: str | None = None
    seed: int = 0
    gpus: float | None = None
    chunk_bytes: int | None = None
    progress: bool = True

    def run(self, sources: Sequence[Source], out: Path) -> Manifest:
        """Build the index and put it at `out`, in the place of the one that is there.

        Raises: as `checked`, which comes first, and `build`.
        """
        return self.build(self.checked(sources, out), out)

    def checked(self, sources: Sequence[Source], out: Path) -> list[Chunk]:
        """Divide the sources, and see that the build can begin.

        Raises:
            InputError: no list of sources was given, or an empty one, or the number of shards is none.
            TripleFileError: a file is missing, empty, or in no format that is known.
            IndexFolderError: `out` is there and is no index.
            ModelError, MissingExtraError: the encoder cannot be loaded.
            StorageError: `out` cannot be written.
        """
        require_sources(sources)
        if not 1 <= self.shards <= MAX_SHARDS:
            raise InputError(f"{self.shards} shards: expected 1 to {MAX_SHARDS}")
        chunks = partition(sources, self.options, self.chunk_bytes)
        if self.encoder not in (None, CHAR_STATIC):
            load_encoder(self.encoder)  # rather now than after hours of reading
        with storage_errors(Path(out), "choose another --out"):
            check_out(Path(out))
        return chunks

    def build(self, chunks: Sequence[Chunk], out: Path) -> Manifest:
        """Build the index from chunks that `checked` gave, and put it at `out`.

        Raises:
            InputError: the memory limit is no size, or too little; or the cluster has not so many GPUs.
            TripleFileError: a file is binary, damaged, not UTF-8, in another format, or changed meanwhile.
            IndexFolderError: `out` is there and is no index, or the same build is running.
            StorageError: the disk is full, `out` cannot be written, or is not seen by all machines.
            WorkerError: a task ended with its worker again and again.
        """
        name = self._fingerprint(chunks)
        with (
            storage_errors(Path(out), "choose another --out"),
            replaced_folder(Path(out), resumed=name) as folder,
        ):
            if not (folder / MANIFEST_FILE).is_file():
                Building(self, folder, chunks).run()
            shutil.rmtree(Work(folder).folder, ignore_errors=True)
            return read_manifest(folder)

    def _fingerprint(self, chunks: Sequence[Chunk]) -> str | None:
        """Name what the working folder will hold; None where it cannot be known again."""
        if any(chunk.is_only_here for chunk in chunks):
            return None
        options = [package_version(), SCHEMA_VERSION, self.shards, self.seed, self.encoder, self.options.columns]
        content = [*options, [[_known_by(part) for part in chunk.parts] for chunk in chunks]]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def _known_by(part: Part) -> list[object]:
    """What tells a part from others; the keys in a URL may be new ones."""
    return [part.name, without_keys(part.path), part.format, part.stamp, part.span and (part.span.start, part.span.end)]
