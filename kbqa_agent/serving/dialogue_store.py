"""Dialogues of all users on the disk: each belongs to one user, and nobody else learns that it is there."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from kbqa_agent.dialogue import MAX_TURNS
from kbqa_agent.dialogue_file import turns_from_json, turns_to_json
from kbqa_agent.serving.database import ServerDatabase
from kbqa_agent.serving.failures import ServingError
from kbqa_agent.types import Turn

__all__ = ["DialogueStore", "DialogueSummary", "KeptTurn", "Rated", "new_id", "now_iso"]

MAX_DIALOGUES = 10_000
"""So many are kept of all users together."""
_LIST = """
SELECT dialogue.id, dialogue.title, dialogue.updated, count(turn.id) AS turns
FROM dialogue LEFT JOIN turn ON turn.dialogue = dialogue.id
WHERE dialogue.user = ? GROUP BY dialogue.id ORDER BY dialogue.updated DESC, dialogue.rowid DESC
"""
_TURNS = """
SELECT turn.answer_id, system, turn, feedback, rating
FROM turn LEFT JOIN rated ON feedback = (SELECT max(feedback) FROM rated WHERE rated.answer_id = turn.answer_id)
WHERE dialogue = ? ORDER BY id
"""
_RATED = "SELECT feedback, answer_id FROM rated WHERE feedback IN (SELECT value FROM json_each(?))"
_TRIM_USER = """
DELETE FROM dialogue WHERE user = :user AND id NOT IN (
    SELECT id FROM dialogue WHERE user = :user ORDER BY updated DESC, rowid DESC LIMIT :most)
"""
_TRIM_ALL = """
DELETE FROM dialogue WHERE rowid IN (
    SELECT rowid FROM dialogue ORDER BY updated LIMIT max(0, (SELECT count(*) FROM dialogue) - :most))
"""
_TRIM_TURNS = """
DELETE FROM turn WHERE dialogue = :dialogue AND id NOT IN (
    SELECT id FROM turn WHERE dialogue = :dialogue ORDER BY id DESC LIMIT :most)
"""


class DialogueSummary(NamedTuple):
    """A dialogue in a list: its first question as title, None before there is one."""

    id: str
    title: str | None
    turns: int
    updated: str


class Rated(NamedTuple):
    """The number of the last piece of feedback on an answer that was not taken back, and its rating."""

    feedback: int
    rating: str


class KeptTurn(NamedTuple):
    """A turn, the id of its answer, the system that gave it, and what its user thinks of it."""

    answer_id: str
    system: str
    turn: Turn
    rated: Rated | None = None


class DialogueStore:
    """The dialogues in a server's file; of one user's more than `per_user`, the one unused for longest goes."""

    def __init__(self, database: ServerDatabase, per_user: int) -> None:
        self._database, self._per_user = database, per_user

    def create(self, user: str) -> str:
        """Begin a dialogue, and give its id. Raises: StorageError, as all that follow."""
        number, now = new_id(), now_iso()
        with self._database.writing() as connection:
            connection.execute("INSERT INTO dialogue VALUES (?, ?, ?, ?, NULL)", (number, user, now, now))
            connection.execute(_TRIM_USER, {"user": user, "most": self._per_user})
            connection.execute(_TRIM_ALL, {"most": MAX_DIALOGUES})
        return number

    def listed(self, user: str) -> list[DialogueSummary]:
        """The dialogues of a user, the one used last first."""
        with self._database.reading() as connection:
            rows = connection.execute(_LIST, (user,)).fetchall()
        return [DialogueSummary(r["id"], r["title"], r["turns"], r["updated"]) for r in rows]

    def turns(self, number: str, user: str) -> list[KeptTurn]:
        """The turns of a dialogue. Raises: ServingError 404 when the user has none of this id."""
        with self._database.reading() as connection:
            self._require(connection.execute(_OWNED, (number, user)).fetchone())
            rows = connection.execute(_TURNS, (number,)).fetchall()
        return [
            KeptTurn(
                r["answer_id"],
                r["system"],
                _turn(r["turn"]),
                Rated(r["feedback"], r["rating"]) if r["feedback"] is not None else None,
            )
            for r in rows
        ]

    def last_answer(self, number: str, user: str) -> str | None:
        """The id of the answer in a dialogue's last turn, None without a turn. Raises: ServingError 404 as `turns`."""
        with self._database.reading() as connection:
            self._require(connection.execute(_OWNED, (number, user)).fetchone())
            row = connection.execute(
                "SELECT answer_id FROM turn WHERE dialogue = ? ORDER BY id DESC LIMIT 1", (number,)
            ).fetchone()
        return str(row["answer_id"]) if row else None

    def add(self, number: str, user: str, kept: KeptTurn) -> None:
        """Keep a turn. Raises: ServingError 404 when the dialogue has been deleted meanwhile."""
        text = json.dumps(turns_to_json([kept.turn]), ensure_ascii=False)
        with self._database.writing() as connection:
            self._require(connection.execute(_OWNED, (number, user)).fetchone())
            connection.execute(
                "INSERT INTO turn (dialogue, answer_id, system, turn) VALUES (?, ?, ?, ?)",
                (number, kept.answer_id, kept.system, text),
            )
            connection.execute(_TRIM_TURNS, {"dialogue": number, "most": MAX_TURNS})
            connection.execute(
                "UPDATE dialogue SET updated = ?, title = coalesce(title, ?) WHERE id = ?",
                (now_iso(), kept.turn.said, number),
            )

    def find(self, answer_id: str, user: str) -> KeptTurn | None:
        """The turn of one of the user's dialogues whose answer has this id."""
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT answer_id, system, turn FROM turn JOIN dialogue ON dialogue.id = turn.dialogue "
                "WHERE answer_id = ? AND user = ?",
                (answer_id, user),
            ).fetchone()
        return KeptTurn(row["answer_id"], row["system"], _turn(row["turn"])) if row else None

    def rate(self, answer_id: str, rated: Rated) -> None:
        """Keep which piece of feedback, of whoever got the answer, is about it."""
        with self._database.writing() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO rated VALUES (?, ?, ?)", (rated.feedback, answer_id, rated.rating)
            )

    def take_back(self, feedback: int) -> None:
        """Forget which answer a piece of feedback is about: it counts no longer."""
        with self._database.writing() as connection:
            connection.execute("DELETE FROM rated WHERE feedback = ?", (feedback,))

    def answers_of(self, feedback: Sequence[int]) -> dict[int, str]:
        """Map the numbers of pieces of feedback that count to the ids of the answers that they are about."""
        with self._database.reading() as connection:
            rows = connection.execute(_RATED, (json.dumps(list(feedback)),)).fetchall()
        return {row["feedback"]: row["answer_id"] for row in rows}

    def delete(self, number: str, user: str) -> None:
        """Delete a dialogue and its turns. Raises: ServingError 404."""
        with self._database.writing() as connection:
            self._require(connection.execute(_OWNED, (number, user)).fetchone())
            connection.execute("DELETE FROM dialogue WHERE id = ?", (number,))

    @staticmethod
    def _require(row: object) -> None:
        if row is None:
            raise ServingError(404, "no such dialogue; GET /api/dialogues lists yours, POST makes one")


_OWNED = "SELECT 1 FROM dialogue WHERE id = ? AND user = ?"


def _turn(text: str) -> Turn:
    return turns_from_json(json.loads(text))[0]


def new_id() -> str:
    """An id that nobody can guess."""
    return secrets.token_urlsafe(16)


def now_iso() -> str:
    """The time, in UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
