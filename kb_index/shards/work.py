"""The working folder inside an index in the making: what finished tasks left, each whole, for those that follow.

    .work/chunks/0000/    the triples of a chunk by shard, its bad lines, and a report
    .work/tables/0000/    what the whole must know of a shard: names, attributes, predicates, places, a report
    .work/merged/         what the shards must know of the whole: vectors to begin with, and the names of each shard

It goes when the index is complete. A build that goes on after another was killed does not do again what is in it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kb_index.array_tables import registered
from kb_index.errors import StorageError
from kb_index.readers.line_formats import literal_path
from kb_index.shards.layout import shard_folder, shard_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from duckdb import DuckDBPyConnection
    from numpy.typing import NDArray

__all__ = ["PARQUET", "PLACE_SQL", "REPORT_FILE", "Work", "check_seen", "literal", "quoted", "save_table"]

REPORT_FILE = "report.json"

SEEN_SECONDS = 70.0
"""So late a network file system may show what another machine has written: NFS remembers for a minute what was not."""

PLACE_SQL = f"(file * {1 << 40} + line_number)"
"""Where a triple of a shard stands among all lines of all sources: its part, and its row in that."""


@dataclass(frozen=True)
class Work:
    """The paths of the working folder of the index that grows in `index`."""

    index: Path

    @property
    def folder(self) -> Path:
        """The working folder itself."""
        return self.index / ".work"

    def chunk(self, number: int) -> Path:
        """What was read of a chunk."""
        return self.folder / "chunks" / shard_name(number)

    def tables(self, shard: int) -> Path:
        """What the whole must know of a shard."""
        return self.folder / "tables" / shard_name(shard)

    def shard(self, shard: int) -> Path:
        """The shard's own index, which lies outside."""
        return shard_folder(self.index, shard_name(shard))

    @property
    def merged(self) -> Path:
        """What the shards must know of the whole."""
        return self.folder / "merged"

    def vectors(self, kind: str) -> Path:
        """The vectors of `entities` or `attributes` before any is in them."""
        return self.merged / f"{kind}.faiss"

    def names(self, shard: int) -> Path:
        """The names of a shard as the whole writes them."""
        return self.merged / f"{shard_name(shard)}.parquet"

    def pieces(self, shard: int, n_chunks: int) -> list[Path]:
        """List the pieces of a shard in the order of their triples; what a killed task left is none of them.

        Raises:
            StorageError: a chunk is not seen here.
        """
        found: list[Path] = []
        for chunk in map(self.chunk, range(n_chunks)):
            check_seen(chunk / REPORT_FILE)
            found += chunk.glob(f"*.{shard_name(shard)}.parquet")
        return sorted(found, key=lambda path: int(path.name.partition(".")[0]))


def check_seen(path: Path) -> None:
    """Make sure that what a task has made, perhaps on another machine, is seen on this one.

    Raises:
        StorageError: it is not.
    """
    patience = time.monotonic() + SEEN_SECONDS
    while not path.exists():
        if time.monotonic() > patience:
            raise StorageError(
                f"'{path}': made by a task, and not seen here; all machines must see the folder of --out under the "
                "same path: mend that, then run the same command again"
            )
        time.sleep(SEEN_SECONDS / 70)


PARQUET = "read_parquet($1, hive_partitioning = false)"
"""SQL that reads the files that `literal` names; a folder called `name=5` is no column of theirs."""


def literal(paths: Iterable[Path]) -> list[str]:
    """Name files to DuckDB, which would take `*`, `?` and `[` for patterns."""
    return [literal_path(path) for path in paths]


def quoted(path: Path) -> str:
    """Write a path as a text of SQL, which COPY does not take as a parameter."""
    return "'" + str(path).replace("'", "''") + "'"


def save_table(
    connection: DuckDBPyConnection, path: Path, columns: Mapping[str, NDArray[Any]], types: Mapping[str, str]
) -> None:
    """Write arrays of one length as the columns of a Parquet file, with these types of SQL."""
    with registered(connection, "given", columns):
        listed = ", ".join(f"{name}::{kind} AS {name}" for name, kind in types.items())
        connection.execute(f"COPY (SELECT {listed} FROM given) TO {quoted(path)} (FORMAT parquet)")
