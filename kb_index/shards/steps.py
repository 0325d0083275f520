"""The steps of a sharded build, each of which does what the growing folder does not hold yet.

chunks of the sources -> pieces by shard -> shards without vectors -> numbers, encoder -> vectors -> manifest
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from kb_index.build import package_version
from kb_index.encoder import CHAR_STATIC
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
    write_manifest,
)
from kb_index.progress import Stages
from kb_index.readers.sources import SourceFile
from kb_index.shards.engines import LocalEngine
from kb_index.shards.layout import NUMBERING_FOLDER, SHARDS_FOLDER, shard_name
from kb_index.shards.merge import WholeTask, made_encoder, merged_counts, write_numbering, write_rejects, write_whole
from kb_index.shards.partition import Chunk
from kb_index.shards.reading import ReadTask, read_chunk, read_report
from kb_index.shards.shard import ShardTask, VectorTask, add_vectors, build_shard, is_built
from kb_index.shards.work import REPORT_FILE, Work, check_seen

if TYPE_CHECKING:
    from kb_index.shards.build import ShardedBuild

__all__ = ["Building"]

logger = logging.getLogger(__name__)


class Building:
    """One build into `folder`, from chunks of the sources."""

    def __init__(self, build: ShardedBuild, folder: Path, chunks: Sequence[Chunk]) -> None:
        self._build, self._folder, self._chunks = build, folder, chunks
        self._stages = Stages(shown=build.progress)
        self._options = replace(build.options, threads=build.engine.threads)

    @property
    def _gpus(self) -> float | None:
        return 0 if self._build.encoder in (None, CHAR_STATIC) else self._build.gpus

    def run(self) -> None:
        """Fill the folder; the manifest comes last."""
        self._folder.joinpath(SHARDS_FOLDER).mkdir(exist_ok=True)
        self._tell_what_is_there()
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

    def _tell_what_is_there(self) -> None:
        read = sum(read_report(self._folder, chunk) is not None for chunk in self._chunks)
        if read:
            built = sum(is_built(self._folder, shard) for shard in range(self._build.shards))
            logger.warning(
                "goes on with the build that was stopped: %d of %d chunks and %d of %d shards are there",
                *(read, len(self._chunks), built, self._build.shards),
            )

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
        for chunk in self._chunks:
            check_seen(Work(self._folder).chunk(chunk.number) / REPORT_FILE)

    def _build_shards(self) -> None:
        seed, n_shards = self._build.seed, self._build.shards
        n_chunks = len(self._chunks)
        tasks = [ShardTask(self._folder, shard, n_chunks, seed, self._options) for shard in range(n_shards)]
        tasks = [task for task in tasks if not is_built(task.folder, task.shard)]
        with self._stages.stage("shards", n_shards, "shard") as bar:
            bar.update(n_shards - len(tasks))
            self._build.engine.run(build_shard, tasks, bar.update)
        for shard in range(n_shards):
            check_seen(Work(self._folder).shard(shard))

    def _merge(self) -> tuple[Counts, tuple[SourceFile, ...]]:
        import duckdb

        read = [report for chunk in self._chunks if (report := read_report(self._folder, chunk))]
        sources = dict(sorted(chain.from_iterable(report.sources.items() for report in read)))
        spill = str(Work(self._folder).folder / "spill")  # and not the folder that one happens to be in
        with duckdb.connect(config={"temp_directory": spill}) as connection:
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
        for shard in range(n_shards):
            check_seen(Work(self._folder).shard(shard) / MANIFEST_FILE)

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
