"""The first half of the pipeline for one question or many: link, retrieve, rank; one look-up of each kind for all."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kb_index.knowledge_base import KnowledgeBase
from kb_index.types import Entity, Triple
from kbqa_agent.features import Asked
from kbqa_agent.linking import link_many
from kbqa_agent.presence import Presence
from kbqa_agent.ranking import TrainedRanker
from kbqa_agent.retrieval import retrieve_many
from kbqa_agent.types import EntityMention, Ranker

__all__ = ["Clock", "Ranked", "rank_many"]


class Ranked(NamedTuple):
    """What linking, retrieval and ranking found; `probabilities` are those of the triples, (n_triples,).

    `timings` are the milliseconds of each stage; what was done for several questions at once is shared equally. `meant`
    is the entity that was chosen among others of its name.
    """

    mentions: tuple[EntityMention, ...]
    triples: list[Triple]
    probabilities: NDArray[np.float32]
    presence: Presence | None
    timings: Mapping[str, float]
    meant: Entity | None = None


class Clock:
    """Milliseconds of each stage, for each of `n` questions that go through it together."""

    def __init__(self, laps: Mapping[str, float] | None = None, n: int = 1) -> None:
        self.laps: dict[str, float] = dict(laps or {})
        self._n = n
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        """Note the time since the last stage."""
        now = time.perf_counter()
        self.laps[stage] = 1000 * (now - self._last) / self._n
        self._last = now


def rank_many(
    kb: KnowledgeBase, ranker: Ranker, questions: Sequence[str], meant: Sequence[int | None] | None = None
) -> list[Ranked]:
    """Rank the triples of each question, which gets the same numbers alone and among others.

    `meant` holds for each the id of an entity, or None: where a mention may name that one, no other is looked at.
    """
    clock = Clock(n=max(1, len(questions)))
    linked = link_many(kb, questions)
    mentions = [_focused(of, entity) for of, entity in zip(linked, meant or [None] * len(linked), strict=True)]
    clock.lap("link")
    triples = retrieve_many(kb, mentions)
    clock.lap("retrieve")
    judged = _judged(ranker, [Asked(*of) for of in zip(questions, mentions, triples, strict=True)])
    clock.lap("rank")
    return [
        Ranked(of_question, found, probabilities, presence, clock.laps, chosen)
        for of_question, chosen, found, (probabilities, presence) in zip(
            mentions, map(_chosen, linked, mentions), triples, judged, strict=True
        )
    ]


def _judged(ranker: Ranker, asked: Sequence[Asked]) -> list[tuple[NDArray[np.float32], Presence | None]]:
    if isinstance(ranker, TrainedRanker):
        return [(probabilities, presence) for _, probabilities, presence in ranker.judge_many(asked)]
    return [(ranker.rank(*of_question)[1], None) for of_question in asked]


def _focused(mentions: Sequence[EntityMention], meant: int | None) -> tuple[EntityMention, ...]:
    """Where a mention may name the entity that is meant, only that one is looked at."""
    return tuple(
        EntityMention(m.text, m.start, m.end, tuple(e for e in m.entities if e.id == meant) or m.entities)
        for m in mentions
    )


def _chosen(linked: Sequence[EntityMention], mentions: Sequence[EntityMention]) -> Entity | None:
    """The entity that is left of several."""
    pairs = zip(linked, mentions, strict=True)
    return next((after.entities[0] for before, after in pairs if len(after.entities) < len(before.entities)), None)
