"""What only the whole knows: the numbers of entities and triples, the counts, the encoder, how vectors are kept.

All of it is what an index without shards would have, from tables that are small beside the triples. Work on names is
SQL and spills to disk; the places of all entities are in memory, 32 bytes for each.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kb_index.atomic import replacing_folder
from kb_index.columns import open_numbers
from kb_index.encoder import CHAR_STATIC, load_encoder
from kb_index.layer_build import REJECTS_FILE, make_encoder, new_database
from kb_index.manifest import Counts, EncoderInfo
from kb_index.readers.sources import ReadOptions
from kb_index.shards.layout import Numbering, save_numbering, shard_name
from kb_index.shards.partition import Chunk
from kb_index.shards.reading import REJECTS, ChunkReport
from kb_index.shards.shard import shard_report
from kb_index.shards.work import PARQUET, REPORT_FILE, Work, check_seen, literal, quoted
from kb_index.store import fetch_rows
from kb_index.vectors import empty_index

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["WholeTask", "made_encoder", "merged_counts", "write_numbering", "write_rejects", "write_whole"]

_NAMES = f"""
    CREATE TABLE whole_name AS SELECT name, arg_min(text, place) AS text, min(place) AS place
    FROM {PARQUET} GROUP BY name ORDER BY place
"""

_ATTRIBUTES = f"""
    CREATE TABLE whole_attribute AS SELECT name, sum(triples) AS triples
    FROM {PARQUET} GROUP BY name ORDER BY triples DESC, name
"""

_OWN_NAMES = f"""
    COPY (SELECT whole_name.text, own.entity FROM {PARQUET} own JOIN whole_name USING (name) ORDER BY own.entity)
    TO {{}} (FORMAT parquet)
"""


def write_numbering(folder: Path, n_shards: int) -> None:
    """Number the entities of all shards by their first appearance, and the triples by entity."""
    work = Work(folder)
    places = [np.load(work.tables(shard) / "places.npy") for shard in range(n_shards)]
    firsts = [open_numbers(work.shard(shard) / "facts" / "first") for shard in range(n_shards)]
    order = np.argsort(np.concatenate(places))
    entities = np.empty(len(order), dtype=np.int64)
    entities[order] = np.arange(len(order))
    triples = np.empty(len(order), dtype=np.int64)
    sizes = np.concatenate([np.diff(first.astype(np.int64)) for first in firsts])[order]
    triples[order] = np.cumsum(sizes) - sizes
    starts = np.cumsum([0, *map(len, places)])
    for shard in range(n_shards):
        rows = slice(starts[shard], starts[shard + 1])
        save_numbering(folder, shard_name(shard), Numbering(entities[rows], triples[rows]))


def write_rejects(
    connection: DuckDBPyConnection, folder: Path, chunks: Sequence[Chunk], read: Sequence[ChunkReport]
) -> None:
    """List the lines that are no triples, by source and line, numbered in the whole of their source."""
    parts = sorted((part for chunk in chunks for part in chunk.parts), key=lambda part: part.number)
    lines = dict(chain.from_iterable(report.stretch_lines.items() for report in read))
    before, offsets = dict.fromkeys((part.source for part in parts), 0), []
    for part in parts:
        headers = bool(part.span and part.span.header)
        offsets.append(before[part.source] - headers)
        before[part.source] += lines.get(part.number, 0)
    files = literal(Work(folder).chunk(chunk.number) / REJECTS for chunk in chunks)
    sql = f"SELECT file, line_number, reason, text FROM {PARQUET} ORDER BY file, line_number"
    with (folder / REJECTS_FILE).open("w", encoding="utf-8") as out:
        for number, line, reason, text in fetch_rows(connection.execute(sql, [files])):
            row = {"file": parts[number].name, "line": line + offsets[number], "reason": reason, "text": text}
            out.write(json.dumps(row, ensure_ascii=False) + "\n")


def merged_counts(connection: DuckDBPyConnection, folder: Path, n_shards: int, read: Sequence[ChunkReport]) -> Counts:
    """Count what is in the whole index."""
    shards = [shard_report(folder, shard).counts for shard in range(n_shards)]
    lines = sum(report.lines for report in read)
    accepted, triples = sum(c.lines for c in shards), sum(c.triples for c in shards)
    paths = literal(Work(folder).tables(shard) / "predicates.parquet" for shard in range(n_shards))
    ((attributes,),) = connection.execute(f"SELECT count(DISTINCT name) FROM {PARQUET}", [paths]).fetchall()
    return Counts(
        lines=lines,
        triples=triples,
        duplicates=accepted - triples,
        rejected=lines - accepted,
        entities=sum(c.entities for c in shards),
        attributes=attributes,
        aliases=sum(c.aliases for c in shards),
    )


class _Texts(Collection[str]):
    """A column of a table in the order of its rows, gone through as often as one likes without being in memory."""

    def __init__(self, connection: DuckDBPyConnection, table: str, column: str) -> None:
        self._connection, self._table, self._column = connection, table, column

    def __len__(self) -> int:
        ((n_rows,),) = self._connection.execute(f"SELECT count(*) FROM {self._table}").fetchall()
        return int(n_rows)

    def __iter__(self) -> Iterator[str]:
        sql = f"SELECT {self._column} FROM {self._table} ORDER BY rowid"
        return (text for (text,) in fetch_rows(self._connection.cursor().execute(sql)))

    def __contains__(self, text: object) -> bool:
        return any(text == other for other in self)


class WholeTask(NamedTuple):
    """The encoder and all that follows from it, to be made for an index that grows in `folder`.

    `encoder` is what the user named; None for the default one.
    """

    folder: Path
    n_shards: int
    seed: int
    encoder: str | None
    options: ReadOptions


def write_whole(task: WholeTask) -> None:
    """Write the encoder, empty vectors, and the names of each shard as the whole writes them.

    Raises:
        ModelError, MissingExtraError: the encoder cannot be loaded.
        StorageError: the disk is full, the folder cannot be written, or a shard is not seen here.
    """
    work = Work(task.folder)
    for shard in range(task.n_shards):
        check_seen(work.tables(shard) / REPORT_FILE)
    named = load_encoder(task.encoder) if task.encoder not in (None, CHAR_STATIC) else None
    with (
        replacing_folder(work.merged, holds=REPORT_FILE) as folder,
        new_database(folder, task.options.memory_limit, task.options.threads) as connection,
    ):
        shards = range(task.n_shards)
        connection.execute(_NAMES, [literal(work.tables(shard) / "names.parquet" for shard in shards)])
        connection.execute(_ATTRIBUTES, [literal(work.tables(shard) / "attributes.parquet" for shard in shards)])
        names, texts = (_Texts(connection, "whole_name", column) for column in ("name", "text"))
        attributes = _Texts(connection, "whole_attribute", "name")
        encoder = make_encoder(task.folder, chain(names, attributes), named, task.seed)
        for kind, of in (("entities", texts), ("attributes", attributes)):
            empty_index(of, encoder, task.seed).save(folder / f"{kind}.faiss")
        for shard in shards:
            path = quoted(folder / f"{shard_name(shard)}.parquet")
            connection.execute(_OWN_NAMES.format(path), [literal([work.tables(shard) / "names.parquet"])])
        made = {"name": encoder.name, "dim": encoder.dim}
        (folder / REPORT_FILE).write_text(json.dumps(made), encoding="utf-8")


def made_encoder(folder: Path) -> EncoderInfo:
    """Say which encoder `write_whole` made or took."""
    return EncoderInfo(**json.loads((Work(folder).merged / REPORT_FILE).read_text(encoding="utf-8")))
