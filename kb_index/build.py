"""From files of triples to an index folder: read, store, names, encode, vectors, manifest.

Work on sets of triples is SQL; Python sees each distinct name once. The folder appears when it is complete, and a
build that fails leaves the old index as it was. The ranker of the old index is not carried over: it was fitted to
other triples.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kb_index.atomic import storage_errors
from kb_index.encoder import CHAR_STATIC, Encoder, StaticEncoder, build_char_static, copy_static_encoder, load_encoder
from kb_index.errors import InputError
from kb_index.manifest import MANIFEST_FILE, SCHEMA_VERSION, Counts, EncoderInfo, Manifest, write_manifest
from kb_index.names import MAX_NAME_CHARS, NameTrie, build_names, entity_aliases, naming_predicates
from kb_index.normalize import normalize_attribute, normalize_name, strip_description
from kb_index.progress import Stages
from kb_index.readers import SourceFile, check_format, check_source, create_reader, load_lines
from kb_index.store import StoreCounts, StoreWriter
from kb_index.swap import replaced_folder
from kb_index.vectors import build_vectors

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["build_index"]


def build_index(
    sources: Sequence[Path], out: Path, *, encoder: str | None = None, seed: int = 0, progress: bool = True
) -> Manifest:
    """Build an index from files of `subject ||| predicate ||| object` lines and put it at `out`.

    `encoder` is a model2vec folder or a SentenceTransformer's name; the default is made from the names themselves.
    An index that is at `out` already is replaced when the new one is complete.

    Raises:
        InputError: no file was given.
        TripleFileError: a file is missing, empty, binary, not UTF-8, or in another format.
        IndexFolderError: `out` is there and is no index.
        ModelError, MissingExtraError: the encoder cannot be loaded.
        StorageError: the disk is full, or `out` cannot be written.
    """
    if not sources:
        raise InputError("no triple file was given; expected at least one: kbqa index FILE... --out DIR")
    named = load_encoder(encoder) if encoder not in (None, CHAR_STATIC) else None
    with storage_errors(out, "choose another --out"), replaced_folder(Path(out)) as folder:
        build = _Build(folder, seed, Stages(shown=progress))
        manifest = build.run([Path(source) for source in sources], named)
        write_manifest(manifest, folder)
    return manifest


class _Build:
    """One build, in a temporary folder; each method is a stage."""

    def __init__(self, folder: Path, seed: int, stages: Stages) -> None:
        self.folder, self.seed, self.stages = folder, seed, stages

    def run(self, paths: Sequence[Path], named: Encoder | None) -> Manifest:
        with closing(_create_database(self.folder)) as connection:
            sources = self.read(connection, paths)
            writer = StoreWriter(connection)
            counts = self.store(connection, writer, paths)
            trie = self.names(writer)
            attributes = writer.write_attributes({p: normalize_attribute(p) for p in writer.predicates()})
            names, ids = _plain_names(writer.entity_names())
        encoder = self.encode(names, attributes, named)
        self.vectors(names, ids, attributes, encoder)
        shutil.rmtree(self.folder / "spill")
        return Manifest(
            schema_version=SCHEMA_VERSION,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            kbqa_version=_version(),
            counts=Counts(**counts._asdict(), aliases=len(trie)),
            sources=tuple(sources),
            encoder=EncoderInfo(encoder.name, encoder.dim),
            options={"format": "nlpcc", "seed": self.seed},
            files=_file_sizes(self.folder),
            seconds=self.stages.seconds,
        )

    def read(self, connection: DuckDBPyConnection, paths: Sequence[Path]) -> list[SourceFile]:
        total = sum(path.stat().st_size for path in paths if path.is_file())
        with self.stages.stage("read", 2 * total, "B") as bar:
            create_reader(connection)
            sources = []
            for number, path in enumerate(paths):
                sources.append(check_source(path, bar.update))
                check_format(connection, path)
                load_lines(connection, path, number)
                bar.update(sources[-1].bytes)
        return sources

    def store(self, connection: DuckDBPyConnection, writer: StoreWriter, paths: Sequence[Path]) -> StoreCounts:
        with self.stages.stage("store", 6, "step") as bar:
            for _ in writer.write_triples():
                bar.update(1)
            counts = writer.counts()
            self._write_rejects(writer, paths)
            bar.update(1)
            connection.execute("DROP TABLE raw; CHECKPOINT")
            bar.update(1)
        return counts

    def _write_rejects(self, writer: StoreWriter, paths: Sequence[Path]) -> None:
        with (self.folder / "rejects.jsonl").open("w", encoding="utf-8") as out:
            for file, line, reason, text in writer.rejects():
                row = {"file": str(paths[file]), "line": line, "reason": reason, "text": text}
                out.write(json.dumps(row, ensure_ascii=False) + "\n")

    def names(self, writer: StoreWriter) -> NameTrie:
        with self.stages.stage("names", 3, "step") as bar:
            values = writer.values_of(naming_predicates(writer.predicates()))
            trie = build_names(entity_aliases(writer.entity_names(), values))
            (self.folder / "names.marisa").write_bytes(trie.tobytes())
            bar.update(1)
            names = NameTrie(trie)
            spelled = names.spelled_as_alias(writer.short_objects(MAX_NAME_CHARS))
            bar.update(1)
            writer.write_reverse(spelled)
            bar.update(1)
        return names

    def encode(self, names: Sequence[str], attributes: Sequence[str], named: Encoder | None) -> Encoder:
        folder = self.folder / "encoder"
        with self.stages.stage("encode", 1, "step") as bar:
            folder.mkdir()
            if named is None:
                build_char_static((*map(normalize_name, names), *attributes), folder, self.seed)
                named = StaticEncoder(CHAR_STATIC, folder)
            elif isinstance(named, StaticEncoder):
                copy_static_encoder(named.name, folder)
            bar.update(1)
            return named

    def vectors(self, names: Sequence[str], ids: Sequence[int], attributes: Sequence[str], encoder: Encoder) -> None:
        with self.stages.stage("vectors", len(names) + len(attributes), "name") as bar:
            for file, texts, numbers in (
                ("entities.faiss", names, ids),
                ("attributes.faiss", attributes, range(len(attributes))),
            ):
                index = build_vectors(texts, np.array(numbers, dtype=np.int64), encoder, self.seed, bar.update)
                index.save(self.folder / file)


def _create_database(folder: Path) -> DuckDBPyConnection:
    import duckdb

    (folder / "spill").mkdir()
    return duckdb.connect(str(folder / "kb.duckdb"), config={"temp_directory": str(folder / "spill")})


def _plain_names(names: Iterable[tuple[int, str]]) -> tuple[list[str], list[int]]:
    """List the distinct names without descriptions, and the first entity that has each of them."""
    plain: dict[str, tuple[str, int]] = {}
    for entity_id, name in names:
        text = strip_description(name)[0]
        plain.setdefault(normalize_name(text), (text, entity_id))
    return [text for text, _ in plain.values()], [entity_id for _, entity_id in plain.values()]


def _file_sizes(folder: Path) -> dict[str, int]:
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith("."))
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in paths if path.name != MANIFEST_FILE}


def _version() -> str:
    try:
        return version("kbqa")
    except PackageNotFoundError:
        return "unknown"
