"""Question -> entity mentions: every alias of an entity that stands in the question, and a back-off for misspelt names.

All readings are kept, overlapping ones too: which of them is meant is decided by the ranker, which sees what the
question asks of each. Only readings that cannot be meant are dropped here.
"""

from __future__ import annotations

from itertools import chain

from kb_index.knowledge_base import KnowledgeBase
from kb_index.normalize import QUOTES
from kbqa_agent.types import EntityMention

__all__ = ["link"]

MAX_ENTITIES_PER_MENTION = 100
BACK_OFF_ENTITIES = 5
BACK_OFF_MIN_SIMILARITY = 0.6


def link(kb: KnowledgeBase, question: str) -> tuple[EntityMention, ...]:
    """Find the mentions of a question, longest first; by vector similarity where no name is found."""
    matches = sorted(kb.mentions(question), key=lambda m: (m.start - m.end, m.start))
    ids = {i for m in matches for i in m.entity_ids[:MAX_ENTITIES_PER_MENTION]}
    entities = {e.id: e for e in kb.entities(sorted(ids))}
    mentions = tuple(
        EntityMention(
            question[m.start : m.end],
            m.start,
            m.end,
            tuple(entities[i] for i in m.entity_ids[:MAX_ENTITIES_PER_MENTION]),
        )
        for m in matches
    )
    return mentions or _similar_mentions(kb, question)


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
