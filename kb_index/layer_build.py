"""From the lines that the readers loaded to the files of one layer: store, facts, names, encoder, vectors.

A layer is a folder of look-ups. An index has one, and a second in `delta/` after an update. Work on sets of triples is
SQL; Python sees each distinct name that needs normalising once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kb_index.atomic import is_full
from kb_index.columns import save_texts
from kb_index.encoder import CHAR_STATIC, Encoder, StaticEncoder, build_char_static, copy_static_encoder
from kb_index.errors import InputError
from kb_index.facts import write_facts, write_reverse
from kb_index.names import MAX_NAME_CHARS, AttributeTrie, build_names, entity_aliases, naming_predicates
from kb_index.normalize import normalize_attribute, normalize_name, strip_description
from kb_index.progress import Stages
from kb_index.readers.sources import SourceFile
from kb_index.store import StoreCounts, StoreWriter, spelling
from kb_index.vectors import build_vectors

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["REJECTS_FILE", "LayerBuild", "new_database"]

REJECTS_FILE = "rejects.jsonl"

BYTES_WHILE_PYTHON_WORKS = 512_000_000


@contextmanager
def new_database(folder: Path, memory_limit: str) -> Iterator[DuckDBPyConnection]:
    """Lend an empty `kb.duckdb` whose work may take `memory_limit` and spills to `spill/` beyond that.

    Raises:
        InputError: the limit is no size, or the work cannot be done in so little.
    """
    import duckdb

    (folder / "spill").mkdir()
    connection = duckdb.connect(str(folder / "kb.duckdb"), config={"temp_directory": str(folder / "spill")})
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


class LayerBuild:
    """The build of one layer; each method is a stage, in the order below."""

    def __init__(self, connection: DuckDBPyConnection, folder: Path, stages: Stages, *, seed: int) -> None:
        self._connection, self._folder, self._stages, self._seed = connection, folder, stages, seed
        self._store = StoreWriter(connection)

    def store(self, sources: Sequence[SourceFile]) -> StoreCounts:
        """Fill the tables and write the rejected lines; the table `raw` is gone after that."""
        with self._stages.stage("store", 7, "step") as bar:
            for _ in self._store.write_triples():
                bar.update(1)
            counts = self._store.counts()
            with (self._folder / REJECTS_FILE).open("w", encoding="utf-8") as out:
                for file, line, reason, text in self._store.rejects():
                    row = {"file": sources[file].path, "line": line, "reason": reason, "text": text}
                    out.write(json.dumps(row, ensure_ascii=False) + "\n")
            bar.update(1)
            self._connection.execute("DROP TABLE raw; DROP TABLE known; DROP TABLE code; CHECKPOINT")
            bar.update(1)
        return counts

    def facts(self) -> None:
        """Write the memory-mapped columns."""
        folder = self._folder / "facts"
        folder.mkdir()
        with self._stages.stage("facts", 2, "step") as bar:
            write_facts(self._connection, folder)
            bar.update(1)
            names = {text: normalize_name(text) for text in self._store.other_objects(MAX_NAME_CHARS)}
            with spelling(self._connection, names):
                write_reverse(self._connection, folder, MAX_NAME_CHARS)
            bar.update(1)

    def names(self, ids: NDArray[np.int64] | None = None) -> int:
        """Write the trie of aliases, and count them; `ids` are the ids of entities where they are not the rows."""
        _leave_memory(self._connection)
        with self._stages.stage("names", 1, "step") as bar:
            naming = naming_predicates(self._store.predicates())
            aliases = self._aliases(naming)
            trie = build_names(aliases if ids is None else ((alias, int(ids[row])) for alias, row in aliases))
            (self._folder / "names.marisa").write_bytes(trie.tobytes())
            bar.update(1)
        return len(trie)

    def _aliases(self, naming: Sequence[str]) -> Iterator[tuple[str, int]]:
        yield from self._store.plain_aliases(naming, MAX_NAME_CHARS)
        yield from entity_aliases(self._store.other_names(), self._store.other_values(naming, MAX_NAME_CHARS))

    def attributes(self) -> list[str]:
        """Fill the table of normalised attributes; gives their names, the most frequent first."""
        rows = self._store.write_attributes({p: normalize_attribute(p) for p in self._store.predicates()})
        AttributeTrie.build(rows).save(self._folder / "attributes.marisa")
        save_texts(
            self._connection, "attribute", "name", self._folder / "facts" / "attribute_names", np.arange(len(rows) + 1)
        )
        return [name for name, _ in rows]

    def plain_names(self) -> tuple[list[str], NDArray[np.int64]]:
        """List the distinct names without descriptions, and the row of the first entity that has each of them."""
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
        folder = self._folder / "encoder"
        with self._stages.stage("encoder", 1, "step") as bar:
            folder.mkdir()
            if named is None:
                build_char_static((*map(normalize_name, names), *attributes), folder, self._seed)
                named = StaticEncoder(CHAR_STATIC, folder)
            elif isinstance(named, StaticEncoder):
                copy_static_encoder(named.name, folder)
            bar.update(1)
            return named

    def vectors(
        self, names: Sequence[str], ids: NDArray[np.int64], attributes: Sequence[str], encoder: Encoder
    ) -> None:
        """Write the vectors of names, under the ids of entities, and of attributes, under their numbers."""
        with self._stages.stage("vectors", len(names) + len(attributes), "name") as bar:
            self._write_vectors("entities.faiss", names, ids, encoder, bar.update)
            self._write_vectors("attributes.faiss", attributes, np.arange(len(attributes)), encoder, bar.update)

    def _write_vectors(
        self,
        file: str,
        texts: Sequence[str],
        ids: NDArray[np.int64],
        encoder: Encoder,
        on_rows: Callable[[int], object],
    ) -> None:
        build_vectors(texts, ids, encoder, self._seed, on_rows).save(self._folder / file)
