"""What a conversation is about, and the readings of a follow-up question that it allows.

A follow-up is resolved before retrieval. All its readings are asked, and the likeliest answer is taken: the
question as it stands, pronouns put right (他的妻子是谁), an attribute of the entity in focus (那出版社呢？), and
another entity with the attribute of the last question (那李白呢？).
"""

from __future__ import annotations

import re
from collections import deque

from kbqa_agent.types import EntityMention, Turn

__all__ = ["Dialogue"]

MAX_TURNS = 50
PRONOUN = re.compile(
    r"(?<![其吉耳])(他|她|它)(们|(?!加禄|人))"
    r"|(这|那|该|此)(本书|部电影|部电视剧|部小说|首歌|个人|位|个国家|个城市|座城市|个地方|家公司|所学校|公司|校|书|片|剧|国|市|地)"
    r"|\b([Ii]ts?|[Hh]is|[Hh]er?|[Ss]he|[Tt]heir|[Tt]hey)\b"
)
ELLIPSIS = re.compile(
    r"^(?:那么|那|and|what about)?\s*(?P<rest>.{1,30}?)\s*(?:呢|嘛|么)?\s*[?？。!！]*$", re.IGNORECASE
)
ASKING = re.compile(r"谁|什么|哪|多少|几|吗|怎|何|who|what|where|when|how", re.IGNORECASE)


class Dialogue:
    """The turns of one conversation, the oldest dropped after 50; not shared between threads."""

    def __init__(self) -> None:
        self.turns: deque[Turn] = deque(maxlen=MAX_TURNS)

    @property
    def focus(self) -> int | None:
        """The id of the entity that the last answered question was about."""
        found = self._focus_mention()
        return found[1] if found else None

    def add(self, turn: Turn) -> None:
        """Remember a question, as it was resolved, and its answer."""
        self.turns.append(turn)

    def readings(self, question: str) -> list[str]:
        """The questions that may be meant, the one as it stands among them."""
        found = self._focus_mention()
        if found is None:
            return [question]
        mention, last = found[0].text, found[2]
        resolved, n_pronouns = PRONOUN.subn(lambda _: mention, question)
        if n_pronouns:
            return [resolved, question]
        match = ELLIPSIS.match(question.strip())
        if match is None or ASKING.search(question):
            return [question]
        rest = match["rest"].removeprefix("的")
        other = last.question[: found[0].start] + rest + last.question[found[0].end :]
        return [f"{mention}的{rest}是什么？", other, question]

    def _focus_mention(self) -> tuple[EntityMention, int, Turn] | None:
        """The mention and the entity that the last answer's evidence is about, and the turn."""
        for turn in reversed(self.turns):
            entity = next((c.evidence[0].subject_id for c in turn.answer.candidates if c.evidence), None)
            if entity is None:
                continue
            for mention in turn.answer.mentions:
                if any(e.id == entity for e in mention.entities):
                    return mention, entity, turn
        return None
