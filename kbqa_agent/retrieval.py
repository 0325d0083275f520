"""Mentions -> candidate triples: all that the knowledge base says of the linked entities, in one look-up."""

from __future__ import annotations

from collections.abc import Iterable

from kb_index.knowledge_base import KnowledgeBase
from kb_index.types import Triple
from kbqa_agent.types import EntityMention

__all__ = ["retrieve"]


def retrieve(kb: KnowledgeBase, mentions: Iterable[EntityMention]) -> list[Triple]:
    """The triples whose subject is an entity of one of the mentions, grouped by subject."""
    return kb.triples_of(sorted({e.id for m in mentions for e in m.entities}))
