"""Votes between two answers: kept in the server's file, and summed up as win rates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from math import sqrt
from sqlite3 import IntegrityError
from typing import Literal, NamedTuple

from kbqa_agent.serving.database import ServerDatabase
from kbqa_agent.serving.dialogue_store import now_iso
from kbqa_agent.serving.failures import ServingError

__all__ = ["Ballots", "PairRate", "Vote", "VoteStore", "Winner", "wilson", "win_rates"]

Winner = Literal["left", "right", "tie"]
_ADD = """
INSERT INTO vote (comparison, created, user, question, prompt, left_system, right_system, left_answer, right_answer,
    blind, winner) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_COUNT = "SELECT left_system, right_system, winner, count(*) FROM vote GROUP BY 1, 2, 3"
_COLUMNS = "user, question, prompt, left_system, right_system, left_answer, right_answer, blind, winner"


@dataclass(frozen=True, slots=True)
class Vote:
    """Whose vote it is, on which question, between which answers of which systems; an answer is None for silence.

    `prompt` is what a generator is asked for the question: what the better answer is preferred for.
    """

    user: str
    question: str
    prompt: str
    left_system: str
    right_system: str
    left_answer: str | None
    right_answer: str | None
    blind: bool
    winner: Winner


@dataclass(frozen=True, slots=True)
class PairRate:
    """How two systems compare; `win_rate` is the first one's share of the votes that are no tie, None without any.

    `interval` is its 95 % Wilson score interval.
    """

    systems: tuple[str, str]
    wins: tuple[int, int]
    ties: int
    win_rate: float | None
    interval: tuple[float, float] | None


class Ballots(NamedTuple):
    """How many votes were the same, whatever the question."""

    left_system: str
    right_system: str
    winner: Winner
    n: int


class VoteStore:
    """The votes in a server's file."""

    def __init__(self, database: ServerDatabase) -> None:
        self._database = database

    def add(self, comparison: str, vote: Vote) -> int:
        """Keep a vote, and give its number. Raises: ServingError 409 for a second one; StorageError."""
        row = (
            comparison, now_iso(), vote.user, vote.question, vote.prompt, vote.left_system, vote.right_system,
            vote.left_answer, vote.right_answer, vote.blind, vote.winner,
        )  # fmt: skip
        with self._database.writing() as connection:
            try:
                return int(connection.execute(_ADD, row).lastrowid or 0)
            except IntegrityError:
                raise ServingError(409, "this comparison has your vote already; compare again") from None

    def all(self) -> list[Vote]:
        """All votes in the order in which they came. Raises: StorageError."""
        with self._database.reading() as connection:
            rows = connection.execute(f"SELECT {_COLUMNS} FROM vote ORDER BY id").fetchall()  # noqa: S608
        return [Vote(**{**dict(row), "blind": bool(row["blind"])}) for row in rows]

    def counted(self) -> list[Ballots]:
        """How many votes there are of each kind. Raises: StorageError."""
        with self._database.reading() as connection:
            return [Ballots(*row) for row in connection.execute(_COUNT)]


def win_rates(ballots: Iterable[Ballots]) -> list[PairRate]:
    """Sum votes up, pair by pair, whichever side each system stood on."""
    counts: dict[tuple[str, str], Counter[str]] = {}
    for left, right, won, n in ballots:
        first, second = sorted((left, right))
        winner = {"left": left, "right": right, "tie": ""}[won]
        counts.setdefault((first, second), Counter())[winner] += n
    return [_rate(pair, of) for pair, of in sorted(counts.items())]


def _rate(pair: tuple[str, str], count: Counter[str]) -> PairRate:
    wins = count[pair[0]], count[pair[1]]
    decided = sum(wins)
    rate = wins[0] / decided if decided else None
    return PairRate(pair, wins, count[""], rate, wilson(wins[0], decided) if decided else None)


def wilson(successes: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """The interval of a share. Reference: Wilson 1927, "Probable inference, the law of succession".

    >>> tuple(round(end, 3) for end in wilson(8, 10))
    (0.49, 0.943)
    """
    share, spread = successes / n, z * z / n
    middle = (share + spread / 2) / (1 + spread)
    half = z * sqrt(share * (1 - share) / n + spread / (4 * n)) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)
