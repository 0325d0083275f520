"""The SQLite file that feedback is kept in: opening, making, and what SQLite's errors mean to a user.

The file is in WAL mode, so that readers and one writer do not wait for each other, and every commit is synced before it
returns: what was acknowledged outlives a killed process and a power cut. Both tables are only ever added to. A piece
that is undone stays, and has a row in `undone` that says who did it and when.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kb_index.atomic import locked, storage_errors
from kb_index.errors import FeedbackFileError, StorageError

__all__ = ["SCHEMA_VERSION", "connect", "database_errors", "make_tables", "no_such_file", "transaction"]

SCHEMA_VERSION = 1
APPLICATION_ID = 0x6B627161
"""What tells a file of feedback from any other SQLite file: "kbqa"."""
BUSY_SECONDS = 30.0
"""How long a writer waits for another one."""

_SCHEMA = """
CREATE TABLE feedback (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    created TEXT NOT NULL,
    user TEXT NOT NULL,
    question TEXT NOT NULL,
    answer TEXT,
    rating TEXT NOT NULL,
    correction TEXT,
    comment TEXT,
    shown_values TEXT NOT NULL,
    wording TEXT,
    attribute TEXT,
    corrected_attribute TEXT,
    supported INTEGER NOT NULL,
    prompt TEXT NOT NULL,
    candidates TEXT NOT NULL,
    mentions TEXT NOT NULL,
    system TEXT NOT NULL
);
CREATE TABLE undone (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    feedback INTEGER NOT NULL UNIQUE REFERENCES feedback (id),
    created TEXT NOT NULL,
    user TEXT NOT NULL
);
"""


def connect(path: Path, create: bool) -> sqlite3.Connection:
    """Open a file of feedback, for any thread, without implicit transactions; `create` makes one that is not there.

    Raises: FeedbackFileError, StorageError.
    """
    if not create and not path.exists():
        raise no_such_file(path)
    with database_errors(path), storage_errors(path):
        return _opened(path)


def no_such_file(path: Path) -> FeedbackFileError:
    """The error for a file that is not there."""
    return FeedbackFileError(f"feedback '{path}': no such file; make it with kbqa feedback add, or switch it off: none")


def _opened(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        if not _is_made(connection, path):
            with locked(path):  # several programs may make it at once
                if not _is_made(connection, path):
                    make_tables(connection, _SCHEMA, APPLICATION_ID, SCHEMA_VERSION)
        with suppress(sqlite3.OperationalError):  # files from before have no index; who may only read does without
            connection.execute("CREATE INDEX IF NOT EXISTS feedback_of_user ON feedback (user, id)")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def _is_made(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether the tables are there. Raises: FeedbackFileError for another program's, and for another version."""
    with transaction(connection, "DEFERRED"):
        version, application, n_tables = (
            connection.execute(query).fetchone()[0]
            for query in ("PRAGMA user_version", "PRAGMA application_id", "SELECT count(*) FROM sqlite_schema")
        )
    if n_tables and application != APPLICATION_ID:
        raise FeedbackFileError(f"feedback '{path}': another program's database; name a file of kbqa's, or a new one")
    if n_tables and version != SCHEMA_VERSION:
        raise FeedbackFileError(
            f"feedback '{path}': version {version}, expected {SCHEMA_VERSION}; "
            "open it with the kbqa that wrote it, or name a new file"
        )
    return bool(n_tables)


def make_tables(connection: sqlite3.Connection, schema: str, application: int, version: int) -> None:
    """Make the tables of a new database, and mark whose it is; many may write to it, and a commit is synced."""
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    with transaction(connection):
        for statement in filter(str.strip, schema.split(";")):
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {application}")
        connection.execute(f"PRAGMA user_version = {version}")


@contextmanager
def transaction(connection: sqlite3.Connection, mode: str = "IMMEDIATE") -> Iterator[None]:
    """Do all of a block or nothing; "IMMEDIATE" is alone among writers, "DEFERRED" reads one state."""
    connection.execute(f"BEGIN {mode}")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextmanager
def database_errors(path: Path) -> Iterator[None]:
    """Turn what SQLite raises into one line that says what to do."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise _meaning(path, error) from error


def _meaning(path: Path, error: sqlite3.Error) -> FeedbackFileError | StorageError:
    # An extended code holds the plain one in its last byte; what Python finds wrong, such as a closed file, has none.
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return StorageError(f"feedback '{path}': the disk is full; free space, then give it again")
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return FeedbackFileError(f"feedback '{path}': no database, or a damaged one ({error}); name another file")
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return FeedbackFileError(
            f"feedback '{path}': another program has been writing for {BUSY_SECONDS:.0f} seconds; try again"
        )
    return StorageError(f"feedback '{path}': cannot be read or written ({error}); choose another place")
