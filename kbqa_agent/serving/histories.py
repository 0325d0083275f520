"""Conversations that a client sends whole with each request: what their earlier questions were about.

The turns of a conversation that was answered here are remembered. Of another one the last questions are asked again,
of the ranker alone, so that a follow-up is understood.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from kb_index.errors import QuestionError
from kbqa_agent.dialogue import Dialogue
from kbqa_agent.serving.asked import Asked
from kbqa_agent.serving.deadline import Deadline
from kbqa_agent.serving.service import Service
from kbqa_agent.serving.systems import RANKER
from kbqa_agent.types import Turn

__all__ = ["Histories"]

REMEMBERED = 1000
ASKED_AGAIN = 5

Key = tuple[str, ...]


class Histories:
    """What was said and answered, by user, system and questions; for one event loop."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._turns: OrderedDict[Key, tuple[Turn, ...]] = OrderedDict()

    async def dialogue(self, user: str, system: str, questions: Sequence[str], ends: Deadline) -> Dialogue:
        """The dialogue after these questions, by the end of the request. Raises: ServingError as `Service.ask`."""
        if not questions:
            return Dialogue()
        known = self._turns.get((user, system, *questions))
        if known is not None:
            return Dialogue(known)
        dialogue = Dialogue()
        asks = RANKER if RANKER in self._service.source.now.systems else system
        for question in questions[-ASKED_AGAIN:]:
            try:
                await self._service.ask(Asked(question, user, system=asks, context=dialogue, kept=False), ends)
            except QuestionError:
                continue  # what could not be asked then is nothing to refer to
        return dialogue

    def remember(self, user: str, system: str, questions: Sequence[str], dialogue: Dialogue) -> None:
        """Keep the turns after the last of these questions."""
        self._turns[user, system, *questions] = tuple(dialogue.turns)
        while len(self._turns) > REMEMBERED:
            self._turns.popitem(last=False)
