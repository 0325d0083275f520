"""Mentions for names that are misspelt or shortened in the question: the names nearest to where a name should be.

Vectors fetch names that share characters, `likeness` orders them. A mention of this kind has a text that is no alias of
its entities; how alike they are is for the ranker to weigh.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from kb_index.knowledge_base import KnowledgeBase
from kb_index.normalize import normalize_name, strip_description
from kb_index.types import Entity
from kbqa_agent.likeness import likeness
from kbqa_agent.spans import Span
from kbqa_agent.types import EntityMention

__all__ = ["similar_mentions"]

MIN_LIKENESS = 0.55
MAX_NAMES = 5
FETCHED = 300
"""The right name is among so many nearest ones; shortened names are far down."""


class _Near(NamedTuple):
    likeness: float
    name: str
    span: Span
    entity: Entity


def similar_mentions(
    kb: KnowledgeBase, question: str, spans: Sequence[Span], known: Collection[int]
) -> list[EntityMention]:
    """Link the spans of a question to the names most like them, without the entities in `known`; likeliest first."""
    best: dict[str, list[_Near]] = {}
    for near in sorted(_near(kb, question, spans), key=lambda n: -n.likeness):
        same = best.setdefault(near.name, [])
        if not same or same[0].span == near.span:
            same.append(near)
    chosen = [near for name in list(best)[:MAX_NAMES] for near in best[name] if near.entity.id not in known]
    by_span: dict[Span, list[Entity]] = {}
    for near in chosen:
        by_span.setdefault(near.span, []).append(near.entity)
    return [EntityMention(question[s.start : s.end], s.start, s.end, tuple(e)) for s, e in by_span.items()]


def _near(kb: KnowledgeBase, question: str, spans: Sequence[Span]) -> Iterator[_Near]:
    texts = {span: normalize_name(question[span.start : span.end]) for span in spans if span.end - span.start > 1}
    fetched = kb.similar_entities(list(texts.values()), FETCHED) if texts else []
    for (span, text), matches in zip(texts.items(), fetched, strict=True):
        for entity, _ in matches:
            name = normalize_name(strip_description(entity.name)[0])
            score = likeness(text, name)
            if score >= MIN_LIKENESS:
                yield _Near(score, name, span, entity)
