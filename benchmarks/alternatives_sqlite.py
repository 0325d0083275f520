"""A SQLite database in `alternatives.py`: aliases and triples, each with an index."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from alternatives_matching import Row, ranked, read, substrings

from kb_index.normalize import aliases_of, normalize_name

SCHEMA = """
    CREATE TABLE subject (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
    CREATE TABLE triple (subject_id INTEGER NOT NULL, predicate TEXT NOT NULL, object TEXT NOT NULL);
    CREATE TABLE alias (name TEXT NOT NULL, subject_id INTEGER NOT NULL, PRIMARY KEY (name, subject_id)) WITHOUT ROWID;
"""
LOOK_UP = """
    SELECT alias.name, subject.name, predicate, object FROM json_each(?) AS wanted
    JOIN alias ON alias.name = wanted.value JOIN subject ON subject.id = alias.subject_id
    JOIN triple ON triple.subject_id = alias.subject_id
"""


class LookUp:
    """An open database."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path.resolve().as_uri() + "?mode=ro", uri=True)

    def retrieve(self, question: str) -> dict[str, list[Row]]:
        """The triples of each name in the question, by one query."""
        wanted = json.dumps(substrings(normalize_name(question)), ensure_ascii=False)
        found: dict[str, list[Row]] = {}
        for name, subject, predicate, value in self._connection.execute(LOOK_UP, [wanted]):
            found.setdefault(name, []).append((subject, predicate, value))
        return found

    def first(self, question: str, n: int) -> list[Row]:
        """The `n` triples that match best."""
        return ranked(normalize_name(question), self.retrieve(question), n)


def build(source: Path, folder: Path) -> None:
    """Fill the tables in one transaction, then index them."""
    ids: dict[str, int] = {}

    def rows() -> Iterator[tuple[int, str, str]]:
        for subject, predicate, value in read(source):
            yield ids.setdefault(subject, len(ids)), predicate, value

    with closing(sqlite3.connect(folder / "kb.sqlite")) as connection, connection:
        connection.executescript(SCHEMA)
        connection.executemany("INSERT INTO triple VALUES (?, ?, ?)", rows())
        connection.executemany("INSERT INTO subject (name, id) VALUES (?, ?)", ids.items())
        aliases = sorted((alias, i) for name, i in ids.items() for alias in aliases_of(name))
        connection.executemany("INSERT INTO alias VALUES (?, ?)", aliases)
        connection.execute("CREATE INDEX triple_subject ON triple (subject_id)")
        connection.execute("ANALYZE")


def open_saved(source: Path, folder: Path) -> LookUp:  # noqa: ARG001 - all that is needed is in the folder
    """Open the database."""
    return LookUp(folder / "kb.sqlite")
