"""What an index of two layers holds in all, from the counts of its first layer and what the later one replaces in it.

Works in the connection of an update, after the later layer's tables are filled: `first` is the attached first layer.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kb_index.array_tables import create_temp_table
from kb_index.manifest import Counts
from kb_index.names import MAX_NAME_CHARS, entity_aliases, naming_predicates
from kb_index.normalize import normalize_attribute

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["Tally"]

_REPLACED = "first.triple JOIN first.predicate ON predicate.rowid = triple.predicate JOIN superseded ON id = subject"


class Tally:
    """The counts of a whole index; `superseded` are the entities that the first layer does not speak for any more."""

    def __init__(self, connection: DuckDBPyConnection, superseded: NDArray[np.int64]) -> None:
        self._connection, self._superseded = connection, superseded
        create_temp_table(connection, "superseded", {"id": superseded})
        sql = f"SELECT predicate.name, count(*) FROM {_REPLACED} GROUP BY predicate.name"
        self._lost: dict[str, int] = dict(self._all(sql))

    def attributes(self) -> list[tuple[str, int]]:
        """List the normalised attributes whose triples are not those of the first layer, with their number now."""
        changed: Counter[str] = Counter(dict(self._all("SELECT name, triples FROM attribute")))
        for predicate, triples in self._lost.items():
            changed[normalize_attribute(predicate)] -= triples
        sql = "SELECT name, triples FROM first.attribute WHERE name IN (SELECT unnest($1::VARCHAR[]))"
        first = dict(self._all(sql, [list(changed)]))
        return [(name, first.get(name, 0) + change) for name, change in sorted(changed.items())]

    def counts(self, build: Counts, first_aliases: int, later_aliases: int) -> Counts:
        """Give the counts of the whole index; those of lines are the first build's."""
        ((triples, entities),) = self._all(
            "SELECT (SELECT count(*) FROM first.triple) + (SELECT count(*) FROM triple), "
            "(SELECT count(*) FROM first.entity) + (SELECT count(*) FROM entity)"
        )
        return Counts(
            lines=build.lines,
            duplicates=build.duplicates,
            rejected=build.rejected,
            triples=triples - sum(self._lost.values()),
            entities=entities - len(self._superseded),
            attributes=self._predicates(),
            aliases=first_aliases - self._superseded_aliases() + later_aliases,
        )

    def _predicates(self) -> int:
        changed: Counter[str] = Counter(dict(self._all("SELECT name, triples FROM predicate")))
        changed.subtract(self._lost)
        sql = "SELECT name, triples FROM first.predicate"
        first: dict[str, int] = dict(self._all(f"{sql} WHERE name IN (SELECT unnest($1::VARCHAR[]))", [list(changed)]))
        come = sum(name not in first for name in changed)
        gone = sum(name in first and first[name] + change == 0 for name, change in changed.items())
        n_first: int = self._all("SELECT count(*) FROM first.predicate")[0][0]
        return n_first + come - gone

    def _superseded_aliases(self) -> int:
        names = self._all("SELECT name, id FROM first.entity JOIN superseded ON entity.rowid = id")
        naming = naming_predicates(self._lost)
        sql = f"""
            SELECT object, subject FROM {_REPLACED}
            WHERE predicate.name IN (SELECT unnest($1::VARCHAR[])) AND length(object) <= $2
        """
        return len(set(entity_aliases(names, self._all(sql, [naming, MAX_NAME_CHARS]))))

    def _all(self, sql: str, parameters: list[Any] | None = None) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql, parameters).fetchall()
