"""From the lines that the readers loaded to the files of one layer: store, facts, names, encoder, vectors.

A layer is a folder of look-ups. An index has one, and a second in `delta/` after an update. Work on sets of triples is
SQL; Python sees each distinct name that needs normalising once.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kb_index.atomic import is_full
from kb_index.columns import save_texts
from kb_index.encoder import CHAR_STATIC, Encoder, StaticEncoder, build_char_static, copy_static_encoder
from kb_index.errors import InputError
from kb_index.facts import write_facts, write_reverse
from kb_index.names import BY_VALUE, MAX_NAME_CHARS, build_names, entity_aliases, naming_predicates
from kb_index.normalize import normalize_attribute, normalize_name, strip_description
from kb_index.progress import Stages
from kb_index.readers.sources import SourceFile
from kb_index.store import StoreCounts, StoreWriter, spelling
from kb_index.vectors import build_vectors

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["ENCODER_FOLDER", "REJECTS_FILE", "LayerBuild", "LayerTables", "make_encoder", "new_database"]

REJECTS_FILE = "rejects.jsonl"
ENCODER_FOLDER = "encoder"

BYTES_WHILE_PYTHON_WORKS = 512_000_000


@contextmanager
def new_database(folder: Path, memory_limit: str, threads: int | None = None) -> Iterator[DuckDBPyConnection]:
    """Lend an empty `kb.duckdb` whose work may take `memory_limit` and spills to `spill/` beyond that.

    It is done by so many threads, or by one for each processor.

    Raises:
        InputError: the limit is no size, or the work cannot be done in so little.
    """
    import duckdb

    (folder / "spill").mkdir()
    settings: dict[str, str | bool | int | float | list[str]] = {"temp_directory": str(folder / "spill")}
    if threads is not None:
        settings["threads"] = threads
    connection = duckdb.connect(str(folder / "kb.duckdb"), config=settings)
    try:
        _limit_memory(connection, memory_limit)
        yield connection
    except duckdb.OutOfMemoryException as error:
        if is_full(error):
            raise
        raise InputError(f"memory limit {memory_limit!r}: too little for this; give it more: --memory-limit") from error
    finally:
        connection.close()


def _limit_memory(connection: DuckDBPyConnection, memory_limit: str) -> None:
    import duckdb

    problem = InputError(f"memory limit {memory_limit!r}: no size; expected one such as 3GB or 800MB")
    if not memory_limit.strip()[:1].isdigit():  # DuckDB takes a negative one for no limit
        raise problem
    try:
        connection.execute("SET memory_limit = $1", [memory_limit])
    except duckdb.Error as error:
        raise problem from error


def _leave_memory(connection: DuckDBPyConnection) -> None:
    """Let DuckDB keep little while Python needs the memory; where the user gave it less, it gets no more."""
    ((limit,),) = connection.execute("SELECT parse_formatted_bytes(current_setting('memory_limit'))").fetchall()
    connection.execute(f"SET memory_limit = '{min(limit, BYTES_WHILE_PYTHON_WORKS)}B'")


class LayerTables(NamedTuple):
    """What was counted while the tables were filled; `attributes` are the normalised ones, the most frequent first."""

    counts: StoreCounts
    aliases: int
    attributes: list[tuple[str, int]]


class LayerBuild:
    """The build of one layer; the public methods are called in the order below.

    The trie of attributes is left to the caller, who knows how many triples each has in the whole index.
    """

    def __init__(self, connection: DuckDBPyConnection, folder: Path, stages: Stages, *, seed: int) -> None:
        self._connection, self._folder, self._stages, self._seed = connection, folder, stages, seed
        self._store = StoreWriter(connection)

    def tables(self, sources: Sequence[SourceFile], ids: NDArray[np.int64] | None = None) -> LayerTables:
        """Fill the database from `raw` and write what is looked up by row or by name.

        `sources` are those that rejected lines are of; `ids` are the ids of entities where they are not the rows.
        """
        counts = self._write_store(sources)
        self._write_facts()
        return LayerTables(counts, self._write_names(ids), self._write_attributes())

    def _write_store(self, sources: Sequence[SourceFile]) -> StoreCounts:
        with self._stages.stage("store", 7, "step") as bar:
            for _ in self._store.write_triples():
                bar.update(1)
            counts = self._store.counts()
            self._write_rejects(sources)
            bar.update(1)
            self._connection.execute("DROP TABLE raw; DROP TABLE known; DROP TABLE code; CHECKPOINT")
            bar.update(1)
        return counts

    def _write_rejects(self, sources: Sequence[SourceFile]) -> None:
        with (self._folder / REJECTS_FILE).open("w", encoding="utf-8") as out:
            for file, line, reason, text in self._store.rejects():
                row = {"file": sources[file].path, "line": line, "reason": reason, "text": text}
                out.write(json.dumps(row, ensure_ascii=False) + "\n")

    def _write_facts(self) -> None:
        folder = self._folder / "facts"
        folder.mkdir()
        with self._stages.stage("facts", 2, "step") as bar:
            write_facts(self._connection, folder)
            bar.update(1)
            names = {text: normalize_name(text) for text in self._store.other_objects(MAX_NAME_CHARS)}
            with spelling(self._connection, names):
                write_reverse(self._connection, folder, MAX_NAME_CHARS)
            bar.update(1)

    def _write_names(self, ids: NDArray[np.int64] | None) -> int:
        _leave_memory(self._connection)
        with self._stages.stage("names", 1, "step") as bar:
            naming = naming_predicates(self._store.predicates())
            aliases = self._aliases(naming)
            if ids is not None:
                aliases = ((alias, int(ids[n & ~BY_VALUE]) | (n & BY_VALUE)) for alias, n in aliases)
            trie = build_names(aliases)
            (self._folder / "names.marisa").write_bytes(trie.tobytes())
            bar.update(1)
        return len(trie)

    def _aliases(self, naming: Sequence[str]) -> Iterator[tuple[str, int]]:
        yield from self._store.plain_aliases(naming, MAX_NAME_CHARS)
        yield from entity_aliases(self._store.other_names(), self._store.other_values(naming, MAX_NAME_CHARS))

    def _write_attributes(self) -> list[tuple[str, int]]:
        rows = self._store.write_attributes({p: normalize_attribute(p) for p in self._store.predicates()})
        path = self._folder / "facts" / "attribute_names"
        save_texts(self._connection, "attribute", "name", path, np.arange(len(rows) + 1))
        return rows

    def close(self) -> tuple[list[str], NDArray[np.int64]]:
        """Close the database, whose memory the vectors need.

        Lists the distinct names without descriptions, and the row of the first entity that has each of them.
        """
        names = self._plain_names()
        self._connection.close()
        shutil.rmtree(self._folder / "spill")
        return names

    def _plain_names(self) -> tuple[list[str], NDArray[np.int64]]:
        found: dict[str, tuple[str, int]] = {}
        for name, row in self._store.other_names():
            text = strip_description(name)[0]
            found.setdefault(normalize_name(text), (text, row))
        texts, rows = [], []
        for name, row in self._store.distinct_plain_names():
            text, first = found.pop(name, (name, row))
            texts.append(text if first < row else name)
            rows.append(min(first, row))
        texts += [text for text, _ in found.values()]
        rows += [row for _, row in found.values()]
        order = np.argsort(np.array(rows, dtype=np.int64))
        return [texts[i] for i in order.tolist()], np.array(rows, dtype=np.int64)[order]

    def encoder(self, names: Sequence[str], attributes: Sequence[str], named: Encoder | None) -> Encoder:
        """Make the default encoder, or take in the one that the user named."""
        with self._stages.stage("encoder", 1, "step") as bar:
            encoder = make_encoder(self._folder, chain(map(normalize_name, names), attributes), named, self._seed)
            bar.update(1)
            return encoder

    def vectors(
        self, names: Sequence[str], ids: NDArray[np.int64], attributes: Sequence[str], encoder: Encoder
    ) -> None:
        """Write the vectors of names, under the ids of entities, and of attributes, under their numbers."""
        with self._stages.stage("vectors", len(names) + len(attributes), "name") as bar:
            rows = np.arange(len(attributes))
            for file, texts, numbers in (("entities.faiss", names, ids), ("attributes.faiss", attributes, rows)):
                build_vectors(texts, numbers, encoder, self._seed, bar.update).save(self._folder / file)


def make_encoder(folder: Path, texts: Iterable[str], named: Encoder | None, seed: int) -> Encoder:
    """Make `encoder/`: the default one from all normalised names and attributes, or what the user named taken in."""
    encoder = folder / ENCODER_FOLDER
    encoder.mkdir(exist_ok=True)
    if named is None:
        build_char_static(texts, encoder, seed)
        return StaticEncoder(CHAR_STATIC, encoder)
    if isinstance(named, StaticEncoder):
        copy_static_encoder(named.name, encoder)
    return named
