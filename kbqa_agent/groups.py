"""The triples of a question by its mentions: what the features of several questions are made from together."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from kb_index.normalize import normalize_attribute
from kb_index.types import Triple
from kbqa_agent.fact_features import question_kind
from kbqa_agent.mention_features import mask_mention
from kbqa_agent.types import EntityMention

__all__ = ["Asked", "Group", "attribute_of", "groups_of", "mention_of_triples", "numbered"]

T = TypeVar("T")

attribute_of = lru_cache(maxsize=200_000)(normalize_attribute)


class Asked(NamedTuple):
    """A question, its mentions, and the triples of their entities."""

    question: str
    mentions: Sequence[EntityMention]
    triples: Sequence[Triple]


class Group(NamedTuple):
    """The triples of a question's mention with this number, each with its attribute, and their places among all.

    `masked` is the question without the mention, `kind` its `question_kind`.
    """

    asked: Asked
    number: int
    masked: str
    kind: int
    facts: list[tuple[str, Triple]]
    places: list[int]

    @property
    def mention(self) -> EntityMention:
        """The mention itself."""
        return self.asked.mentions[self.number]

    @property
    def key(self) -> tuple[int, int, tuple[int, ...]]:
        """Where the mention stands, and the ids of the triples: what tells it from other groups of one question."""
        return self.mention.start, self.mention.end, tuple(t.id for _, t in self.facts)


def groups_of(asked: Asked) -> list[Group]:
    """The triples of a question by their mentions, in the order of these."""
    places: dict[int, list[int]] = {}
    for i, number in enumerate(mention_of_triples(asked.mentions, asked.triples).tolist()):
        places.setdefault(number, []).append(i)
    kind, found = question_kind(asked.question), []
    for number, at in sorted(places.items()):
        facts = [(attribute_of(asked.triples[i].predicate), asked.triples[i]) for i in at]
        masked = mask_mention(asked.question, asked.mentions[number])
        found.append(Group(asked, number, masked, kind, facts, at))
    return found


def mention_of_triples(mentions: Sequence[EntityMention], triples: Sequence[Triple]) -> NDArray[np.int64]:
    """The number of each triple's mention; an entity found by several belongs to the first (the longest)."""
    first: dict[int, int] = {}
    for number, mention in enumerate(mentions):
        for entity in mention.entities:
            first.setdefault(entity.id, number)
    return np.array([first[t.subject_id] for t in triples])


def numbered(values: Sequence[T]) -> tuple[NDArray[np.int64], list[T]]:
    """The number of each value among the distinct ones, in order of appearance, and the distinct ones."""
    distinct = {value: i for i, value in enumerate(dict.fromkeys(values))}
    return np.array([distinct[value] for value in values]), list(distinct)
