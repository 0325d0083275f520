"""Tables with typed columns, Parquet files and data frames, read by DuckDB and cast to text.

A number is as DuckDB writes it, but a whole float without its `.0`, which a column of whole numbers with gaps often
is; a truth value is `true` or `false`; dates and times are in ISO 8601 with a blank between them, and in UTC where they
have a time zone. Null and NaN are empty. A column of lists, structures or bytes is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kb_index.errors import TripleFileError
from kb_index.readers.line_formats import literal_path
from kb_index.readers.raw_table import Query, readable
from kb_index.readers.wanted_columns import require_columns

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["frame", "parquet"]

_EXPECTED = "expected a table with columns for subject, predicate and object"

_PARQUET = "read_parquet($path, binary_as_string = true, hive_partitioning = false)"

_NO_TEXT = ("STRUCT", "MAP", "UNION", "BLOB", "VARIANT", "GEOMETRY")

# `AS t(c1, c2 ...)` names columns by their place, so that no name of a user's becomes SQL.
_TABLE = """
    SELECT subject, predicate, object, extra, concat_ws(' ||| ', subject, predicate, object) AS line,
           triple_reason(subject, predicate, object, extra) AS reason
    FROM (
        SELECT {subject} AS subject, {predicate} AS predicate, {object} AS object, {extra} AS extra FROM {relation}
    )
"""


def parquet(connection: DuckDBPyConnection, path: Path, name: str, columns: tuple[str, str, str] | None) -> Query:
    """Query a Parquet file.

    Raises:
        TripleFileError: it is damaged, lacks a column, or has a column that is no text; it speaks of `name`.
    """
    parameters = {"path": literal_path(path)}
    types = _types(connection, name, f"SELECT * FROM {_PARQUET}", parameters)
    return _query(name, types, columns, _PARQUET, parameters)


def frame(connection: DuckDBPyConnection, name: str, columns: tuple[str, str, str] | None) -> Query:
    """Query what is registered as `frame`.

    Raises:
        TripleFileError: it lacks a column, or has a column that is no text.
    """
    types = _types(connection, name, "SELECT * FROM frame", {})
    return _query(name, types, columns, "frame", {})


def _types(connection: DuckDBPyConnection, name: str, sql: str, parameters: dict[str, Any]) -> list[tuple[str, str]]:
    with readable(name, _EXPECTED):
        described = connection.execute(f"DESCRIBE {sql}", parameters).fetchall()
    types = [(str(row[0]), str(row[1])) for row in described]
    for column, kind in types:
        if kind.startswith(_NO_TEXT) or kind.endswith("]"):
            raise TripleFileError(
                f"{name}: column {column} holds {kind}; expected text, numbers or dates, leave it out or make it text"
            )
    return types


def _query(
    name: str,
    types: Sequence[tuple[str, str]],
    columns: tuple[str, str, str] | None,
    relation: str,
    parameters: dict[str, Any],
) -> Query:
    names = [column for column, _ in types]
    wanted = require_columns(name, names, columns)
    texts = [f"cleaned({_as_text(f'c{i}', kind)})" for i, (_, kind) in enumerate(types, 1)]
    pairs = [
        f"CASE WHEN {text} != '' THEN json_pair(cleaned($names[{i + 1}]), {text}) END"
        for i, text in enumerate(texts)
        if i not in wanted
    ]
    sql = _TABLE.format(
        relation=f"{relation} AS t({', '.join(f'c{i + 1}' for i in range(len(types)))})",
        **{part: texts[i] for part, i in zip(("subject", "predicate", "object"), wanted, strict=True)},
        extra=f"json_pairs([{', '.join(pairs)}])" if pairs else "NULL",
    )
    return Query(sql, parameters | ({"names": names} if pairs else {}), _EXPECTED, "no rows")


def _as_text(column: str, kind: str) -> str:
    """Give the SQL that casts a column; DuckDB may cast before it knows that a value is NaN, hence TRY_CAST."""
    if kind in ("FLOAT", "DOUBLE"):
        return (
            f"CASE WHEN isnan({column}) THEN '' WHEN {column} = trunc({column}) AND abs({column}) < 1e15 "
            f"THEN TRY_CAST({column} AS BIGINT)::VARCHAR ELSE {column}::VARCHAR END"
        )
    if kind == "TIMESTAMP WITH TIME ZONE":
        return f"({column} AT TIME ZONE 'UTC')::VARCHAR || '+00:00'"
    return f"{column}::VARCHAR"
