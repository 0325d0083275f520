"""The turns of one conversation; a follow-up question is resolved by what they were about (`follow_ups.py`)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from kb_index.knowledge_base import KnowledgeBase
from kbqa_agent.dialogue_file import read_turns, write_turns
from kbqa_agent.follow_ups import Reading, readings
from kbqa_agent.silence import Choice, choices_of
from kbqa_agent.types import Turn

__all__ = ["Dialogue"]

MAX_TURNS = 50


class Dialogue:
    """The turns of one conversation, the oldest dropped after 50; each user has one, and asks one thing at a time."""

    def __init__(self, turns: Iterable[Turn] = ()) -> None:
        self.turns: deque[Turn] = deque(turns, maxlen=MAX_TURNS)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Go on with a dialogue that was saved. Raises: DialogueFileError."""
        return cls(read_turns(Path(path)))

    def save(self, path: str | Path) -> None:
        """Write the turns as JSON; a dialogue that is there is replaced.

        Raises: DialogueFileError when something else is there; StorageError.
        """
        write_turns(self.turns, Path(path))

    def undo(self) -> Turn | None:
        """Forget the last turn, and give it; None where there is none."""
        return self.turns.pop() if self.turns else None

    def add(self, turn: Turn) -> None:
        """Remember a question, as it was resolved, and its answer."""
        self.turns.append(turn)

    def readings(self, kb: KnowledgeBase, question: str) -> list[Reading]:
        """The whole questions that a follow-up may mean, the one as it stands among them."""
        return readings(kb, tuple(self.turns), question)

    @property
    def choices(self) -> list[Choice]:
        """The entities that the last answer asked to choose from; none if it did not ask."""
        return choices_of(self.turns[-1].answer) if self.turns else []
