"""One shard: first all that its triples say, later its vectors, which need to know the whole.

A shard is built by the stages of any index. Beside it go the tables that the whole is put together from:

    names.parquet        its distinct names without descriptions, with place and row of the first entity that has each
    attributes.parquet   its normalised attributes, the most frequent first, and how many triples have each
    predicates.parquet   its predicates as written
    places.npy           where each entity appears first among all lines, ascending, int64
    report.json          its counts, and what the stages took
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kb_index.atomic import replacing, replacing_folder
from kb_index.build import package_version
from kb_index.encoder import open_encoder
from kb_index.layer_build import ENCODER_FOLDER, REJECTS_FILE, LayerBuild, LayerTables, new_database
from kb_index.manifest import SCHEMA_VERSION, Counts, EncoderInfo, Manifest, describe_files, write_manifest
from kb_index.names import AttributeTrie
from kb_index.normalize import normalize_name
from kb_index.progress import StageCost, Stages
from kb_index.readers.raw_table import create_raw_table
from kb_index.readers.sources import ReadOptions, SourceFile
from kb_index.shards.work import PARQUET, PLACE_SQL, REPORT_FILE, Work, check_seen, literal, quoted, save_table
from kb_index.vectors import VectorIndex

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["ShardReport", "ShardTask", "VectorTask", "add_vectors", "build_shard", "is_built", "shard_report"]

_LOAD = f"INSERT INTO raw SELECT file, place, subject, predicate, object, key, extra, NULL, NULL FROM {PARQUET}"

_PLACES = f"SELECT min({PLACE_SQL}) AS place FROM raw GROUP BY coalesce(key, subject) ORDER BY place"


class ShardTask(NamedTuple):
    """A shard to be built from so many chunks that were read, in an index that grows in `folder`."""

    folder: Path
    shard: int
    n_chunks: int
    seed: int
    options: ReadOptions


class VectorTask(NamedTuple):
    """A shard that is to get its vectors and its manifest."""

    folder: Path
    shard: int
    seed: int
    encoder: EncoderInfo
    sources: tuple[SourceFile, ...]


class ShardReport(NamedTuple):
    """What is in a shard, and what its stages took; of its lines none was rejected."""

    counts: Counts
    stages: dict[str, StageCost]


def build_shard(task: ShardTask) -> None:
    """Build what the triples of a shard say, from the pieces of all chunks.

    Raises:
        InputError: the memory limit is too little.
        StorageError: the disk is full, the folder cannot be written, or a chunk is not seen here.
    """
    work, options = Work(task.folder), task.options
    with (
        replacing_folder(work.shard(task.shard), holds=REJECTS_FILE) as folder,
        replacing_folder(work.tables(task.shard), holds=REPORT_FILE) as tables,
    ):
        stages = Stages(shown=False)
        with new_database(folder, options.memory_limit, options.threads) as connection:
            create_raw_table(connection)
            connection.execute(_LOAD, [literal(work.pieces(task.shard, task.n_chunks))])
            places = connection.execute(_PLACES).fetchnumpy()["place"].astype(np.int64)
            build = LayerBuild(connection, folder, stages, seed=task.seed)
            built = build.tables(())
            AttributeTrie.build(built.attributes).save(folder / "attributes.marisa")
            _write_sets(connection, tables)
            names, rows = build.close()
        np.save(tables / "places.npy", places)
        _write_names(tables, names, rows, places)
        _write_report(tables, built, stages)


def _write_sets(connection: DuckDBPyConnection, tables: Path) -> None:
    for name, columns in (("attribute", "name, triples"), ("predicate", "name")):
        path = quoted(tables / f"{name}s.parquet")
        connection.execute(f"COPY (SELECT {columns} FROM {name} ORDER BY rowid) TO {path} (FORMAT parquet)")


def _write_names(tables: Path, names: Sequence[str], rows: NDArray[np.int64], places: NDArray[np.int64]) -> None:
    import duckdb

    columns = {
        "name": np.array([normalize_name(name) for name in names], dtype=object),
        "text": np.array(names, dtype=object),
        "entity": rows,
        "place": places[rows],
    }
    with duckdb.connect() as connection:
        types = {"name": "VARCHAR", "text": "VARCHAR", "entity": "BIGINT", "place": "BIGINT"}
        save_table(connection, tables / "names.parquet", columns, types)


def _write_report(tables: Path, built: LayerTables, stages: Stages) -> None:
    report = {"counts": built.counts._asdict() | {"aliases": built.aliases}, "stages": stages.costs}
    (tables / REPORT_FILE).write_text(json.dumps(report), encoding="utf-8")


def shard_report(folder: Path, shard: int) -> ShardReport:
    """Give the report of a shard that is built."""
    content = json.loads((Work(folder).tables(shard) / REPORT_FILE).read_text(encoding="utf-8"))
    stages = {name: StageCost(*cost) for name, cost in content["stages"].items()}
    return ShardReport(Counts(**content["counts"]), stages)


def _columns(connection: DuckDBPyConnection, path: Path, columns: str) -> dict[str, NDArray[Any]]:
    return connection.execute(f"SELECT {columns} FROM {PARQUET}", [literal([path])]).fetchnumpy()


def is_built(folder: Path, shard: int) -> bool:
    """Say whether `build_shard` has done its work."""
    return Work(folder).shard(shard).is_dir()


def add_vectors(task: VectorTask) -> None:
    """Add a shard's vectors, its copy of the encoder and its manifest, which makes it an index of its own.

    Raises:
        ModelError, MissingExtraError: the encoder cannot be loaded.
        StorageError: the disk is full, the folder cannot be written, or what the whole knows is not seen here.
    """
    import duckdb

    work, stages = Work(task.folder), Stages(shown=False)
    check_seen(work.merged / REPORT_FILE)
    folder, report = work.shard(task.shard), shard_report(task.folder, task.shard)
    encoder = open_encoder(task.encoder.name, task.folder / ENCODER_FOLDER)
    with duckdb.connect() as connection, stages.stage("vectors", 1, "step"):
        names = _columns(connection, work.names(task.shard), "text, entity")
        attributes = _columns(connection, work.tables(task.shard) / "attributes.parquet", "name")["name"]
        rows = np.arange(len(attributes))
        for kind, texts, ids in (
            ("entities", names["text"], names["entity"]),
            ("attributes", attributes, rows),
        ):
            index = VectorIndex.load(work.vectors(kind))
            index.add(texts, ids.astype(np.int64), encoder, lambda _: None)
            with replacing(folder / f"{kind}.faiss") as part:
                index.save(part)
    shutil.copytree(task.folder / ENCODER_FOLDER, folder / ENCODER_FOLDER, dirs_exist_ok=True)
    manifest = Manifest(
        schema_version=SCHEMA_VERSION,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        kbqa_version=package_version(),
        counts=report.counts,
        sources=task.sources,
        encoder=task.encoder,
        options={"seed": task.seed},
        files=describe_files(folder),
        stages=report.stages | stages.costs,
    )
    write_manifest(manifest, folder)
