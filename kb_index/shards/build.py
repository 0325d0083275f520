"""From sources to a sharded index: read and divide, build each shard, put together what only the whole knows.

    chunks of the sources -> pieces by shard -> shards without vectors -> numbers, encoder -> vectors -> manifest

The index grows in a hidden folder beside `out`, in which everything appears whole when it is finished: a build that was
killed goes on from there when it is run again with the same sources and options. Then it takes the place of `out`.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

from kb_index.atomic import storage_errors
from kb_index.build import package_version
from kb_index.encoder import CHAR_STATIC
from kb_index.errors import InputError
from kb_index.layer_build import ENCODER_FOLDER, REJECTS_FILE
from kb_index.manifest import (
    MANIFEST_FILE,
    SCHEMA_VERSION,
    Counts,
    EncoderInfo,
    FileInfo,
    Manifest,
    describe_file,
    describe_files,
    read_manifest,
    write_manifest,
)
from kb_index.progress import Stages
from kb_index.readers.sources import ReadOptions, Source, SourceFile, require_sources
from kb_index.shards.engines import Engine, LocalEngine
from kb_index.shards.layout import NUMBERING_FOLDER, SHARDS_FOLDER, shard_name
from kb_index.shards.merge import WholeTask, made_encoder, merged_counts, write_numbering, write_rejects, write_whole
from kb_index.shards.partition import Chunk, partition
from kb_index.shards.reading import ReadTask, read_chunk, read_report
from kb_index.shards.shard import ShardTask, VectorTask, add_vectors, build_shard, is_built
from kb_index.shards.work import Work
from kb_index.swap import replaced_folder

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

        Raises:
            InputError: no list of sources was given, or an empty one, the memory limit is no size, or the number of
                shards is none.
            TripleFileError: a file is missing, empty, binary, not UTF-8, or in another format.
            IndexFolderError: `out` is there and is no index, or the same build is running.
            ModelError, MissingExtraError: the encoder cannot be loaded.
            StorageError: the disk is full, or `out` cannot be written.
            WorkerError: a task ended with its worker again and again.
        """
        require_sources(sources)
        if not 1 <= self.shards <= MAX_SHARDS:
            raise InputError(f"{self.shards} shards: expected 1 to {MAX_SHARDS}")
        chunks = partition(sources, self.options, self.chunk_bytes)
        name = self._fingerprint(chunks)
        with (
            storage_errors(Path(out), "choose another --out"),
            replaced_folder(Path(out), resumed=name) as folder,
        ):
            if not (folder / MANIFEST_FILE).is_file():
                _Building(self, folder, chunks).run()
            shutil.rmtree(Work(folder).folder, ignore_errors=True)
            return read_manifest(folder)

    def _fingerprint(self, chunks: Sequence[Chunk]) -> str | None:
        """Name what is built; None where it cannot be known again."""
        parts = [part for chunk in chunks for part in chunk.parts]
        if any(part.is_only_here for part in parts):
            return None
        options = [package_version(), SCHEMA_VERSION, self.shards, self.seed, self.encoder, self.options.columns]
        content = [*options, [[p.name, p.path, p.format, p.stamp, p.span and p.span[:2]] for p in parts]]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


class _Building:
    """One build into `folder`; each step does what the folder does not hold yet."""

    def __init__(self, build: ShardedBuild, folder: Path, chunks: Sequence[Chunk]) -> None:
        self._build, self._folder, self._chunks = build, folder, chunks
        self._stages = Stages(shown=build.progress)
        self._options = replace(build.options, threads=build.engine.threads)

    @property
    def _gpus(self) -> float | None:
        return 0 if self._build.encoder in (None, CHAR_STATIC) else self._build.gpus

    def run(self) -> None:
        self._folder.joinpath(SHARDS_FOLDER).mkdir(exist_ok=True)
        self._read()
        self._build_shards()
        with self._stages.stage("merge", 1, "step") as bar:
            counts, sources = self._merge()
            bar.update(1)
        encoder = self._encoder()
        self._add_vectors(encoder, sources)
        self._remove_leftovers()
        with self._stages.stage("checksum", 1, "step") as bar:
            files, shards = self._files(), self._shard_manifests()
            bar.update(1)
        manifest = Manifest(
            schema_version=SCHEMA_VERSION,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            kbqa_version=package_version(),
            counts=counts,
            sources=sources,
            encoder=encoder,
            options={"seed": self._build.seed, "shards": self._build.shards},
            files=files,
            stages=self._stages.costs,
            shards=shards,
        )
        write_manifest(manifest, self._folder)

    def _read(self) -> None:
        tasks = [
            ReadTask(self._folder, chunk, self._build.shards, self._options)
            for chunk in self._chunks
            if read_report(self._folder, chunk) is None
        ]
        with self._stages.stage("read", len(self._chunks), "chunk") as bar:
            bar.update(len(self._chunks) - len(tasks))
            LocalEngine().run(read_chunk, [task for task in tasks if task.chunk.is_only_here], bar.update)
            self._build.engine.run(read_chunk, [task for task in tasks if not task.chunk.is_only_here], bar.update)

    def _build_shards(self) -> None:
        seed, n_shards = self._build.seed, self._build.shards
        tasks = [ShardTask(self._folder, shard, seed, self._options) for shard in range(n_shards)]
        tasks = [task for task in tasks if not is_built(task.folder, task.shard)]
        with self._stages.stage("shards", n_shards, "shard") as bar:
            bar.update(n_shards - len(tasks))
            self._build.engine.run(build_shard, tasks, bar.update)

    def _merge(self) -> tuple[Counts, tuple[SourceFile, ...]]:
        import duckdb

        read = [report for chunk in self._chunks if (report := read_report(self._folder, chunk))]
        sources = dict(sorted(chain.from_iterable(report.sources.items() for report in read)))
        with duckdb.connect() as connection:
            write_rejects(connection, self._folder, self._chunks, read)
            counts = merged_counts(connection, self._folder, self._build.shards, read)
        write_numbering(self._folder, self._build.shards)
        return counts, tuple(sources.values())

    def _encoder(self) -> EncoderInfo:
        build = self._build
        task = WholeTask(self._folder, build.shards, build.seed, build.encoder, self._options)
        with self._stages.stage("encoder", 1, "step") as bar:
            engine = LocalEngine() if self._gpus == 0 else build.engine
            engine.run(write_whole, [task], bar.update, self._gpus)
        return made_encoder(self._folder)

    def _add_vectors(self, encoder: EncoderInfo, sources: tuple[SourceFile, ...]) -> None:
        seed, n_shards = self._build.seed, self._build.shards
        tasks = [VectorTask(self._folder, shard, seed, encoder, sources) for shard in range(n_shards)]
        tasks = [task for task in tasks if not (Work(self._folder).shard(task.shard) / MANIFEST_FILE).is_file()]
        with self._stages.stage("vectors", n_shards, "shard") as bar:
            bar.update(n_shards - len(tasks))
            self._build.engine.run(add_vectors, tasks, bar.update, self._gpus)

    def _remove_leftovers(self) -> None:
        """Remove what tasks left that ended with their worker amid their work."""
        for path in (*self._folder.glob(f"{SHARDS_FOLDER}/.*"), *self._folder.glob(f"{SHARDS_FOLDER}/*/.*")):
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def _files(self) -> dict[str, FileInfo]:
        """Describe what is no shard's."""
        files = {REJECTS_FILE: describe_file(self._folder / REJECTS_FILE)}
        for part in (ENCODER_FOLDER, NUMBERING_FOLDER):
            files |= {f"{part}/{name}": info for name, info in describe_files(self._folder / part).items()}
        return dict(sorted(files.items()))

    def _shard_manifests(self) -> dict[str, str]:
        folders = {shard_name(shard): Work(self._folder).shard(shard) for shard in range(self._build.shards)}
        return {name: describe_file(folder / MANIFEST_FILE).sha256 for name, folder in folders.items()}
