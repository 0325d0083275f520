"""From files of triples to an index folder: read, then the stages of `layer_build`, then the manifest.

The folder appears when it is complete, and a build that fails leaves the old index as it was. The ranker of the old
index is not carried over: it was fitted to other triples.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from kb_index.atomic import storage_errors
from kb_index.encoder import CHAR_STATIC, Encoder, load_encoder
from kb_index.layer_build import LayerBuild, new_database
from kb_index.manifest import SCHEMA_VERSION, Counts, EncoderInfo, Manifest, describe_files, write_manifest
from kb_index.names import AttributeTrie
from kb_index.progress import Stages
from kb_index.readers.load import load_sources, total_bytes
from kb_index.readers.raw_table import create_raw_table
from kb_index.readers.sources import ReadOptions, Source, SourceFile, require_sources
from kb_index.swap import replaced_folder

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["build_index", "build_layers", "package_version", "read_sources"]


def build_index(
    sources: Sequence[Source],
    out: Path,
    *,
    options: ReadOptions | None = None,
    encoder: str | None = None,
    seed: int = 0,
    progress: bool = True,
) -> Manifest:
    """Build an index from files, frames or iterables of triples and put it at `out`.

    `encoder` is a model2vec folder or a SentenceTransformer's name; the default is made from the names themselves.
    An index that is at `out` already is replaced when the new one is complete.

    Raises:
        InputError: no list of sources was given, or an empty one, or the memory limit is no size.
        TripleFileError: a file is missing, empty, binary, not UTF-8, or in another format.
        IndexFolderError: `out` is there and is no index.
        ModelError, MissingExtraError: the encoder cannot be loaded.
        StorageError: the disk is full, or `out` cannot be written.
    """
    require_sources(sources)
    named = load_encoder(encoder) if encoder not in (None, CHAR_STATIC) else None
    options, stages = options or ReadOptions(), Stages(shown=progress)
    with storage_errors(Path(out), "choose another --out"), replaced_folder(Path(out)) as folder:
        with new_database(folder, options.memory_limit) as connection:
            read = read_sources(connection, sources, options, folder / "spill", stages)
            manifest = build_layers(connection, folder, read, stages, seed=seed, encoder=named)
        write_manifest(manifest, folder)
    return manifest


def read_sources(
    connection: DuckDBPyConnection, sources: Sequence[Source], options: ReadOptions, spill: Path, stages: Stages
) -> list[SourceFile]:
    """Load all sources into the temporary table `raw`."""
    with stages.stage("read", total_bytes(sources), "B") as bar:
        create_raw_table(connection)
        return load_sources(connection, sources, options, spill, bar.update)


def build_layers(
    connection: DuckDBPyConnection,
    folder: Path,
    sources: Sequence[SourceFile],
    stages: Stages,
    *,
    seed: int,
    encoder: Encoder | None,
) -> Manifest:
    """Make all files of an index in `folder` from the table `raw`, and describe them."""
    build = LayerBuild(connection, folder, stages, seed=seed)
    tables = build.tables(sources)
    AttributeTrie.build(tables.attributes).save(folder / "attributes.marisa")
    names, ids = build.close()
    attributes = [name for name, _ in tables.attributes]
    encoder = build.encoder(names, attributes, encoder)
    build.vectors(names, ids, attributes, encoder)
    with stages.stage("checksum", 1, "step") as bar:
        files = describe_files(folder)
        bar.update(1)
    return Manifest(
        schema_version=SCHEMA_VERSION,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        kbqa_version=package_version(),
        counts=Counts(**tables.counts._asdict(), aliases=tables.aliases),
        sources=tuple(sources),
        encoder=EncoderInfo(encoder.name, encoder.dim),
        options={"seed": seed},
        files=files,
        stages=stages.costs,
    )


def package_version() -> str:
    """Give the version of the installed package."""
    try:
        return version("kbqa")
    except PackageNotFoundError:
        return "unknown"
