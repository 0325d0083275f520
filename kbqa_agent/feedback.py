"""The store of people's feedback: one SQLite file, safe with many threads and processes.

What is kept is what was said, by whom and when, and what was shown; nothing is ever changed or deleted. What it does to
answers is in `feedback_effect`.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from sqlite3 import Connection, IntegrityError, Row
from typing import NamedTuple

from kb_index.closing import Closing
from kb_index.errors import FeedbackError
from kbqa_agent.answer_codec import candidates_from_rows, candidates_to_rows, mentions_from_rows, mentions_to_rows
from kbqa_agent.feedback_checks import checked, checked_user
from kbqa_agent.feedback_database import connect, database_errors, no_such_file, transaction
from kbqa_agent.feedback_records import (
    FeedbackRecord,
    Judgement,
    Shown,
    Undone,
    system_from_json,
)
from kbqa_agent.feedback_texts import attribute_behind, text_key, wording_of
from kbqa_agent.types import Candidate, Feedback

__all__ = ["Changes", "FeedbackStore", "feedback_beside", "feedback_for"]

_ADD = """
INSERT INTO feedback (created, user, question, answer, rating, correction, comment, shown_values, wording, attribute,
    corrected_attribute, supported, prompt, candidates, mentions, system)
VALUES (:created, :user, :question, :answer, :rating, :correction, :comment, :shown_values, :wording, :attribute,
    :corrected_attribute, :supported, :prompt, :candidates, :mentions, :system)
"""
_GIVER = "SELECT user FROM feedback WHERE id = ?"
_UNDO = "INSERT INTO undone (feedback, created, user) VALUES (:feedback, :created, :user)"
_LAST = """
SELECT feedback.* FROM feedback LEFT JOIN undone ON undone.feedback = feedback.id
WHERE feedback.user = ? AND undone.id IS NULL ORDER BY feedback.id DESC LIMIT 1
"""
SAME = ("question", "answer", "rating", "correction", "comment", "shown_values", "system")
"""What makes two pieces of one user the same."""
_RECORDS = """
SELECT feedback.*, undone.user AS undone_user, undone.created AS undone_created
FROM feedback LEFT JOIN undone ON undone.feedback = feedback.id
WHERE {whose} AND (:undone OR undone.id IS NULL)
ORDER BY feedback.id DESC LIMIT :last
"""
_JUDGEMENTS = """
SELECT id, user, question, rating, shown_values, correction, wording, attribute, corrected_attribute
FROM feedback WHERE id > ? ORDER BY id
"""
_UNDOINGS = "SELECT id, feedback FROM undone WHERE id > ? ORDER BY id"
MAX_NUMBER = 2**63 - 1
"""The largest whole number that SQLite takes."""


class Changes(NamedTuple):
    """What came into a store: judgements, the numbers of those undone, and the number of the last undoing."""

    judgements: list[Judgement]
    undone: list[int]
    last_undoing: int


def feedback_beside(index: Path) -> Path:
    """Where the feedback on an index lies if nobody says otherwise: beside its folder, which is replaced as a whole.

    >>> feedback_beside(Path("/data/my-index")).as_posix()
    '/data/my-index.feedback.sqlite'
    """
    folder = index.absolute()  # a link keeps its feedback when it comes to point to another index
    return folder.with_name(f"{folder.name}.feedback.sqlite")


def feedback_for(index: Path, chosen: str | None) -> Path | None:
    """The file of feedback that counts for an index: the one chosen, none for "none", else that beside it if there.

    Raises: FeedbackFileError when the chosen one is not there.
    """
    if chosen == "none":
        return None
    if chosen is not None:
        if not Path(chosen).exists():
            raise no_such_file(Path(chosen))
        return Path(chosen)
    beside = feedback_beside(index)
    return beside if beside.exists() else None


class FeedbackStore(Closing):
    """An open file of feedback; `create` makes one that is not there.

    Raises: FeedbackFileError when it is missing, no database, another program's, or of another version; StorageError.
    """

    def __init__(self, path: str | Path, create: bool = True) -> None:
        self.path = Path(path)
        self._connection = connect(self.path, create)
        self._connection.row_factory = Row
        self._lock = threading.RLock()
        self._n_written = 0

    def close(self) -> None:
        """Close the file; the object cannot be used after that."""
        with self._lock:
            self._connection.close()

    def add(self, feedback: Feedback, shown: Shown, user: str = "local") -> int:
        """Keep a piece of feedback and give its number; once this returns, the piece is on the disk.

        What is the same as the user's last piece, and still counts, is kept once, and its number given again.

        Raises: FeedbackError as `feedback_checks.checked`, FeedbackFileError, StorageError.
        """
        user, feedback = checked_user(user), checked(feedback, shown)
        judged, corrected = (_candidate(text, shown) for text in (feedback.answer, feedback.correction))
        about = judged or corrected
        values = (shown.values or (feedback.answer,)) if feedback.answer is not None else ()
        row = {
            "created": _now(),
            "user": user,
            **asdict(feedback),
            "shown_values": _json(values),
            "wording": wording_of(feedback.question, about, shown.mentions) if about else None,
            "attribute": attribute_behind(judged) if judged else None,
            "corrected_attribute": attribute_behind(corrected) if corrected else None,
            "supported": shown.supported,
            "prompt": shown.prompt,
            "candidates": _json(candidates_to_rows(shown.candidates)),
            "mentions": _json(mentions_to_rows(shown.mentions)),
            "system": _json(asdict(shown.system)),
        }
        with self._writing() as connection:
            last = connection.execute(_LAST, (user,)).fetchone()
            if last is not None and all(last[name] == row[name] for name in SAME):
                return int(last["id"])
            added = connection.execute(_ADD, row).lastrowid
        return int(added or 0)

    def undo(self, number: int, user: str = "local") -> None:
        """Let a piece of feedback count no longer; that it was given, and who took it back, is kept.

        Raises: FeedbackError when there is no such piece, or it is undone already; FeedbackFileError, StorageError.
        """
        row = {"feedback": number, "created": _now(), "user": checked_user(user)}
        with self._writing() as connection:
            if _giver(connection, number) is None:
                raise FeedbackError(f"no feedback has the number {number}; list them: kbqa feedback list")
            try:
                connection.execute(_UNDO, row)
            except IntegrityError:
                raise FeedbackError(f"feedback {number} is undone already; list them: kbqa feedback list") from None

    def giver(self, number: int) -> str | None:
        """Who gave the piece of feedback of this number; None where there is none.

        Raises: FeedbackFileError, StorageError.
        """
        with self._lock, database_errors(self.path):
            return _giver(self._connection, number)

    def records(self, user: str | None = None, undone: bool = True, last: int | None = None) -> list[FeedbackRecord]:
        """All pieces in the order in which they came, or those of one user; without `undone` those that still count.

        `last` is the most that are given, of which those before the last ones are left out. Raises: FeedbackFileError,
        StorageError.
        """
        wanted = {"user": user, "undone": undone, "last": -1 if last is None else last}
        with self._lock, database_errors(self.path):
            query = _RECORDS.format(whose="1" if user is None else "feedback.user = :user")  # each by an index
            rows = self._connection.execute(query, wanted).fetchall()
        return [_record(row) for row in reversed(rows)]

    def version(self) -> tuple[int, int]:
        """A value that changes whenever any program adds or undoes a piece of feedback."""
        with self._lock, database_errors(self.path):
            return self._connection.execute("PRAGMA data_version").fetchone()[0], self._n_written

    def changes_after(self, judgement: int, undoing: int) -> Changes:
        """What came after the judgement, and after the undoing, of these numbers; 0 is before the first."""
        with self._lock, database_errors(self.path), transaction(self._connection, "DEFERRED"):
            judgements = [_judgement(row) for row in self._connection.execute(_JUDGEMENTS, (judgement,))]
            gone = [(row["id"], row["feedback"]) for row in self._connection.execute(_UNDOINGS, (undoing,))]
        return Changes(judgements, [number for _, number in gone], gone[-1][0] if gone else undoing)

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """Lend the connection for one change, alone among all writers; when it ends well the change is on the disk."""
        with self._lock:
            with database_errors(self.path), transaction(self._connection):
                yield self._connection
            self._n_written += 1


def _giver(connection: Connection, number: int) -> str | None:
    row = connection.execute(_GIVER, (number,)).fetchone() if abs(number) <= MAX_NUMBER else None
    return str(row["user"]) if row else None


def _candidate(text: str | None, shown: Shown) -> Candidate | None:
    key = text_key(text) if text is not None else None
    return next((c for c in shown.candidates if text_key(c.answer) == key), None)


def _judgement(row: Row) -> Judgement:
    return Judgement(
        id=row["id"],
        user=row["user"],
        question=row["question"],
        rating=row["rating"],
        values=tuple(json.loads(row["shown_values"])),
        correction=row["correction"],
        wording=row["wording"],
        attribute=row["attribute"],
        corrected_attribute=row["corrected_attribute"],
    )


def _record(row: Row) -> FeedbackRecord:
    shown = Shown(
        candidates=candidates_from_rows(json.loads(row["candidates"])),
        mentions=mentions_from_rows(json.loads(row["mentions"])),
        values=tuple(json.loads(row["shown_values"])),
        prompt=row["prompt"],
        system=system_from_json(row["system"]),
        supported=bool(row["supported"]),
    )
    given = Feedback(row["question"], row["answer"], row["rating"], row["correction"], row["comment"])
    undone = Undone(row["undone_user"], row["undone_created"]) if row["undone_user"] is not None else None
    return FeedbackRecord(row["id"], row["created"], row["user"], given, shown, undone)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
