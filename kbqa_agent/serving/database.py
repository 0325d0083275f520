"""The SQLite file of a server: dialogues with their turns, and votes; every commit is synced before it returns."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kb_index.atomic import locked, storage_errors
from kb_index.closing import Closing
from kb_index.errors import InputError, StorageError
from kbqa_agent.feedback_database import make_tables, transaction

__all__ = ["ServerDatabase", "store_beside"]

SCHEMA_VERSION = 1
APPLICATION_ID = 0x6B627373
"""What tells this file from any other SQLite file: "kbss"."""
BUSY_SECONDS = 30.0
_SCHEMA = """
CREATE TABLE dialogue (
    id TEXT PRIMARY KEY,
    user TEXT NOT NULL,
    created TEXT NOT NULL,
    updated TEXT NOT NULL,
    title TEXT
);
CREATE INDEX dialogue_of_user ON dialogue (user, updated);
CREATE TABLE turn (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    dialogue TEXT NOT NULL REFERENCES dialogue (id) ON DELETE CASCADE,
    answer_id TEXT NOT NULL UNIQUE,
    system TEXT NOT NULL,
    turn TEXT NOT NULL
);
CREATE INDEX turn_of_dialogue ON turn (dialogue, id);
CREATE TABLE vote (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    comparison TEXT NOT NULL UNIQUE,
    created TEXT NOT NULL,
    user TEXT NOT NULL,
    question TEXT NOT NULL,
    prompt TEXT NOT NULL,
    left_system TEXT NOT NULL,
    right_system TEXT NOT NULL,
    left_answer TEXT,
    right_answer TEXT,
    blind INTEGER NOT NULL,
    winner TEXT NOT NULL
);
"""
_SINCE = """
CREATE TABLE IF NOT EXISTS rated (
    feedback INTEGER PRIMARY KEY,
    answer_id TEXT NOT NULL,
    rating TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS rated_answer ON rated (answer_id);
"""
"""Which answer a piece of feedback that counts is about; files made before this get it when they are opened."""


def store_beside(index: Path) -> Path:
    """Where dialogues and votes lie if nobody says otherwise: beside the index folder.

    >>> store_beside(Path("/data/my-index")).as_posix()
    '/data/my-index.serve.sqlite'
    """
    folder = index.absolute()
    return folder.with_name(f"{folder.name}.serve.sqlite")


class ServerDatabase(Closing):
    """The open file, or one in memory for None; safe between threads.

    Raises: InputError when it is another program's, or of another version; StorageError.
    """

    def __init__(self, path: Path | None, create: bool = True) -> None:
        self.path, self._lock = path, threading.RLock()
        if path is not None and not create and not path.exists():
            raise InputError(f"votes '{path}': no such file; it is made when somebody uses kbqa serve")
        if path is not None and not path.absolute().parent.is_dir():
            raise InputError(f"store '{path}': no folder {path.absolute().parent}; make it, or name another file")
        with self._errors():
            if path is None:
                self._connection = _open(":memory:", "")
            else:
                with storage_errors(path), locked(path):
                    self._connection = _open(str(path), str(path))
        self._connection.row_factory = sqlite3.Row

    def close(self) -> None:
        """Close the file; the object cannot be used after that."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Lend the connection for look-ups."""
        with self._lock, self._errors():
            yield self._connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Lend the connection for one change; when the block ends well, the change is on the disk."""
        with self._lock, self._errors(), transaction(self._connection):
            yield self._connection

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise StorageError(
                f"server's file '{self.path or 'in memory'}': cannot be read or written ({error}); "
                "free space, or name another with --store"
            ) from error


def _open(place: str, shown: str) -> sqlite3.Connection:
    connection = sqlite3.connect(place, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        made = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        if not made:
            make_tables(connection, _SCHEMA, APPLICATION_ID, SCHEMA_VERSION)
        if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
            raise InputError(f"store '{shown}': another program's database; name a file of kbqa serve, or a new one")
        if (version := connection.execute("PRAGMA user_version").fetchone()[0]) != SCHEMA_VERSION:
            raise InputError(f"store '{shown}': version {version}, expected {SCHEMA_VERSION}; name a new file")
        connection.execute("CREATE INDEX IF NOT EXISTS dialogue_by_time ON dialogue (updated)")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.executescript(_SINCE)
    except BaseException:
        connection.close()
        raise
    return connection
