"""The counting behind `stats`: SQL over the databases of an index's parts, and sums over its memory-mapped columns.

The parts are its layers, of which the second replaces entities of the first, or its shards, which replace nothing.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kb_index.array_tables import create_temp_table, registered
from kb_index.columns import open_numbers
from kb_index.errors import IndexFolderError
from kb_index.manifest import FileInfo, Manifest, check_files, read_manifest
from kb_index.normalize import PLAIN_NAME_SQL, plain_name
from kb_index.shards.layout import shard_folder
from kb_index.shards.shard_manifest import checked_shards
from kb_index.store import fetch_rows
from kb_index.view import DELTA

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["LETTERS", "MARKS", "PLAIN_FORM", "Measures"]

MEMORY_LIMIT = "2GB"

# Letters that normalising only puts into lower case (Latin but ß, Cyrillic, kana, Chinese, Hangul), and marks that it
# leaves, none of them a round bracket; a name that begins with a quotation mark is Python's.
LETTERS = (
    "0-9A-Za-z\u00c0-\u00d6\u00d8-\u00de\u00e0-\u00f6\u00f8-\u00ff\u0410-\u044f"
    "\u3041-\u3096\u30a1-\u30fa\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3"
)
MARKS = r"·.,:;!?&+*/%@#=_\[\]《》“”、 -"
_DESCRIBED = f"^([{LETTERS}][{LETTERS}{MARKS}]*)(?:[(（][^()（）]*[)）])?$"
PLAIN_FORM = f"""
    CASE WHEN {PLAIN_NAME_SQL.format("name")} THEN name
    ELSE replace(lower(regexp_extract(name, '{_DESCRIBED}', 1)), ' ', '') END
"""
"""SQL for `plain_name(name)` of most names, and an empty text for those that need Python."""

_LIVE_NAMES = "SELECT name FROM {}.entity WHERE rowid NOT IN (SELECT id FROM superseded)"
_PLAIN_NAMES = f"""
    CREATE TEMP TABLE plain AS SELECT name, sum(n)::INTEGER AS entities FROM (
        SELECT {PLAIN_FORM} AS name, 1 AS n FROM live UNION ALL SELECT name, n FROM other
    ) WHERE name != '' GROUP BY 1
"""
_LOST_ATTRIBUTES = """
    SELECT attribute.name, -count(*) AS n FROM first.triple JOIN superseded ON superseded.id = triple.subject
    JOIN first.predicate ON predicate.rowid = triple.predicate
    JOIN first.attribute ON attribute.rowid = predicate.attribute GROUP BY 1
"""


class Measures:
    """An index opened for counting. `names` comes before `most_common_names` and `links`.

    Raises:
        IndexFolderError: the folder is no index, is damaged, is of another schema version, or was replaced meanwhile.
    """

    def __init__(self, folder: Path) -> None:
        self.manifest = read_manifest(folder)
        self.files = _files(folder, self.manifest)
        self._parts = _parts(folder, self.manifest)
        self._spill = TemporaryDirectory(prefix="kbqa-stats-")
        self._connection = _connect(Path(self._spill.name))
        try:
            self._open()
        except Exception as error:
            self.close()
            reason = str(error).split("\n", 1)[0]
            raise IndexFolderError(f"index '{folder}': damaged ({reason}); build it again") from error
        if read_manifest(folder) != self.manifest:
            self.close()
            raise IndexFolderError(f"index '{folder}': replaced by another program meanwhile; run it again")

    def _open(self) -> None:
        for name, path in self._parts.items():
            self._connection.execute(f"ATTACH $1 AS {name} (READ_ONLY)", [str(path / "kb.duckdb")])
        self._starts = [open_numbers(path / "facts" / "first") for path in self._parts.values()]
        self._hashes = [open_numbers(path / "facts" / "reverse_hash") for path in self._parts.values()]
        self._hashed_triples = open_numbers(next(iter(self._parts.values())) / "facts" / "reverse_triple")
        self._superseded = np.zeros(0, dtype=np.int64)
        if later := self._parts.get("later"):
            ids, gone = (open_numbers(later / name).astype(np.int64) for name in ("ids", "gone"))
            self._superseded = np.union1d(ids[ids < len(self._starts[0]) - 1], gone)
        self._show_names()

    def _show_names(self) -> None:
        create_temp_table(self._connection, "superseded", {"id": self._superseded})
        first, *others = self._parts
        names = [_LIVE_NAMES.format(first), *(f"SELECT name FROM {part}.entity" for part in others)]
        self._connection.execute(f"CREATE TEMP VIEW live AS {' UNION ALL '.join(names)}")

    def close(self) -> None:
        """Close the files and remove what was spilled."""
        self._connection.close()
        self._spill.cleanup()

    def triples_per_entity(self) -> NDArray[np.int64]:
        """Count the triples of each entity, (n_entities,), in no order that means something."""
        first, *others = map(_sizes, self._starts)
        return np.concatenate([np.delete(first, self._superseded), *others])

    def attributes(self, top: int) -> tuple[int, list[tuple[str, int]]]:
        """Count the distinct attributes, and list those with the most triples and their number."""
        counts = [f"SELECT name, triples AS n FROM {part}.attribute" for part in self._parts]
        counts += [_LOST_ATTRIBUTES] if "later" in self._parts else []
        self._connection.execute(
            "CREATE TEMP TABLE now AS SELECT name, sum(n)::BIGINT AS n "
            f"FROM ({' UNION ALL '.join(counts)}) GROUP BY 1 HAVING sum(n) > 0"
        )
        ((n_attributes,),) = self._all("SELECT count(*) FROM now")
        return n_attributes, self._all("SELECT name, n FROM now ORDER BY n DESC, name LIMIT $1", [top])

    def names(self) -> dict[int, int]:
        """Count the plain names by how many entities have them: number of entities -> number of names."""
        other = self._names_for_python()
        # The last one keeps the columns from being empty, and is no name; nor is a form that Python was left.
        arrays = {"name": np.array([*other, ""], dtype=object), "n": np.array([*other.values(), 0], dtype=np.int64)}
        with registered(self._connection, "other", arrays):
            self._connection.execute(_PLAIN_NAMES)
        return dict(self._all("SELECT entities, count(*) FROM plain GROUP BY 1 ORDER BY 1"))

    def _names_for_python(self) -> Counter[str]:
        cursor = self._connection.execute(f"SELECT name FROM live WHERE {PLAIN_FORM} = ''")
        return Counter(plain_name(name) for (name,) in fetch_rows(cursor))

    def most_common_names(self, top: int) -> list[tuple[str, int]]:
        """List the plain names of more than one entity that have the most, and their number."""
        sql = "SELECT name, entities FROM plain WHERE entities > 1 ORDER BY entities DESC, name LIMIT $1"
        return self._all(sql, [top])

    def links(self) -> int:
        """Count the triples whose normalised object has the hash of a plain name."""
        sql = "CREATE TEMP TABLE hashed AS SELECT (md5_number_lower(name) >> 32)::UINTEGER AS hash FROM plain"
        self._connection.execute(sql)
        lost = self._hashes[0][_marked(self._superseded, self._starts[0])[self._hashed_triples]]
        return sum(map(self._named, self._hashes)) - self._named(lost)

    def _named(self, hashes: NDArray[Any]) -> int:
        if not len(hashes):
            return 0
        with registered(self._connection, "given", {"hash": np.asarray(hashes)}):
            ((n,),) = self._all("SELECT count(*) FROM given WHERE hash IN (SELECT hash FROM hashed)")
        return int(n)

    def _all(self, sql: str, parameters: list[Any] | None = None) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql, parameters).fetchall()


def _parts(folder: Path, manifest: Manifest) -> dict[str, Path]:
    """The folders of an index that hold triples, by what their databases are called here."""
    if not manifest.shards:
        return {"first": folder} | ({"later": folder / DELTA} if (folder / DELTA).is_dir() else {})
    return {f"shard{name}": shard_folder(folder, name) for name in manifest.shards}


def _files(folder: Path, manifest: Manifest) -> dict[str, FileInfo]:
    """Compare the files of an index, its shards among them, with what was built, and list them by path."""
    check_files(manifest, folder)
    files = dict(manifest.files)
    for shard, of_shard in checked_shards(folder, manifest).items():
        place = shard_folder(folder, shard).relative_to(folder).as_posix()
        files |= {f"{place}/{name}": info for name, info in of_shard.files.items()}
    return files


def _marked(entities: NDArray[np.int64], starts: NDArray[Any]) -> NDArray[np.bool_]:
    """Mark the triples of some entities, (n_triples,); `starts` says where the triples of each begin."""
    steps = np.zeros(len(starts), dtype=np.int8)
    steps[entities] = 1
    return np.repeat(steps[:-1].astype(bool), _sizes(starts))


def _sizes(starts: NDArray[Any]) -> NDArray[np.int64]:
    ends = starts.astype(np.int64)
    return ends[1:] - ends[:-1]


def _connect(spill: Path) -> DuckDBPyConnection:
    import duckdb

    return duckdb.connect(config={"memory_limit": MEMORY_LIMIT, "temp_directory": str(spill)})
