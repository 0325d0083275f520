"""Mentions -> candidate triples: all that the knowledge base says of the linked entities, in one look-up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from kb_index.knowledge_base import KnowledgeBase
from kb_index.types import Triple
from kbqa_agent.types import EntityMention

__all__ = ["retrieve", "retrieve_many"]


def retrieve(kb: KnowledgeBase, mentions: Iterable[EntityMention]) -> list[Triple]:
    """The triples whose subject is an entity of one of the mentions, grouped by subject."""
    return kb.triples_of(_entity_ids(mentions))


def retrieve_many(kb: KnowledgeBase, mentions: Sequence[Iterable[EntityMention]]) -> list[list[Triple]]:
    """What `retrieve` gives for the mentions of each question, with one look-up for all."""
    wanted = [_entity_ids(of_question) for of_question in mentions]
    triples = kb.triples_of(sorted({i for ids in wanted for i in ids}))
    by_subject = {i: list(group) for i, group in groupby(triples, key=lambda t: t.subject_id)}
    return [[t for i in ids for t in by_subject.get(i, ())] for ids in wanted]


def _entity_ids(mentions: Iterable[EntityMention]) -> list[int]:
    return sorted({e.id for m in mentions for e in m.entities})
