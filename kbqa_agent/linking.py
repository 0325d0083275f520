"""Question -> entity mentions: every alias of an entity that stands in the question, and a back-off for misspelt names.

All readings are kept, overlapping ones too: which of them is meant is decided by the ranker, which sees what the
question asks of each. Only readings that cannot be meant are dropped here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain

from kb_index.knowledge_base import KnowledgeBase
from kb_index.normalize import QUOTES
from kb_index.types import Entity, NameMatch
from kbqa_agent.types import EntityMention

__all__ = ["link", "link_many"]

MAX_ENTITIES_PER_MENTION = 100
BACK_OFF_ENTITIES = 5
BACK_OFF_MIN_SIMILARITY = 0.6


def link(kb: KnowledgeBase, question: str) -> tuple[EntityMention, ...]:
    """Find the mentions of a question, longest first; by vector similarity where no name is found."""
    return link_many(kb, [question])[0]


def link_many(kb: KnowledgeBase, questions: Sequence[str]) -> list[tuple[EntityMention, ...]]:
    """Find the mentions of each question, with one look-up of all entities."""
    matches = [sorted(kb.mentions(q), key=lambda m: (m.start - m.end, m.start)) for q in questions]
    ids = {i for found in matches for m in found for i in m.entity_ids[:MAX_ENTITIES_PER_MENTION]}
    entities = {e.id: e for e in kb.entities(sorted(ids))}
    linked = (
        tuple(_mention(question, match, entities) for match in found)
        for question, found in zip(questions, matches, strict=True)
    )
    return [mentions or _similar_mentions(kb, q) for q, mentions in zip(questions, linked, strict=True)]


def _mention(question: str, match: NameMatch, entities: Mapping[int, Entity]) -> EntityMention:
    named = tuple(entities[i] for i in match.entity_ids[:MAX_ENTITIES_PER_MENTION])
    return EntityMention(question[match.start : match.end], match.start, match.end, named)


def _similar_mentions(kb: KnowledgeBase, question: str) -> tuple[EntityMention, ...]:
    """The likeliest misspelt name: what is quoted, else the question up to a word that follows names."""
    start, end = _name_span(question)
    text = question[start:end]
    if not text.strip():
        return ()
    found = chain.from_iterable(kb.similar_entities([text], BACK_OFF_ENTITIES))
    entities = tuple(m.entity for m in found if m.score >= BACK_OFF_MIN_SIMILARITY)
    return (EntityMention(text, start, end, entities),) if entities else ()


def _name_span(question: str) -> tuple[int, int]:
    for opening, closing in QUOTES.items():
        start = question.find(opening)
        end = question.find(closing, start + 1)
        if 0 <= start < end:
            return start + 1, end
    start = next((len(p) for p in ("请问", "你知道", "我想知道") if question.startswith(p)), 0)
    end = next((i for i in (question.find(c, start + 1) for c in ("的", "是", "有", "在")) if i > start), len(question))
    return start, end
