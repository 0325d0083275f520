"""A knowledge base seen without what a question asks for, so that silence can be trained and tested.

Nothing in an index changes: `Without` is a view that leaves out some entities and triples. After each removal no entity
of the gold subject's name says anything about the gold attribute: a question that another one of that name answers as
well has an answer.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple, get_args

from kb_index.knowledge_base import KnowledgeBase
from kb_index.normalize import normalize_attribute, strip_description
from kb_index.types import Entity, EntityMatch, NameMatch, Triple
from kbqa_agent.qa_data import comparable
from kbqa_agent.types import EntityMention, QAExample

__all__ = ["KINDS", "Removal", "RemovalKind", "Without", "draw_removals", "removal_of", "without"]

RemovalKind = Literal["triples", "attribute", "entities"]
KINDS: tuple[RemovalKind, ...] = get_args(RemovalKind)


class Removal(NamedTuple):
    """What is left out for one question: the ids of triples, and those of entities with all their triples."""

    kind: RemovalKind
    entities: frozenset[int]
    triples: frozenset[int]


def removal_of(kb: KnowledgeBase, example: QAExample, kind: RemovalKind) -> Removal | None:
    """Find what to leave out so that no answer to a question is left; None without a gold triple that is in `kb`.

    "triples": what the gold subjects say about the gold attribute; None where another entity of that name says
    something about it. "attribute": what any entity of the gold subject's name, with or without its description, says
    about it. "entities": all entities of that name. In all cases triples of these entities that hold a gold answer go
    too, whatever their attribute.
    """
    if example.triple is None or not example.answers:
        return None
    name, asked = example.triple[0], normalize_attribute(example.triple[1])
    answers = set(map(comparable, example.answers))
    named = {e.id for n in (name, strip_description(name)[0]) for e in kb.entities_named(n)}
    triples = kb.triples_of(sorted(named))
    holding = [t for t in triples if comparable(t.object) in answers]
    gold = {t.subject_id for t in holding if normalize_attribute(t.predicate) == asked}
    if not gold:
        return None
    if kind == "entities":
        return Removal(kind, frozenset(named), frozenset())
    said = [t for t in triples if normalize_attribute(t.predicate) == asked]
    if kind == "triples" and any(t.subject_id not in gold for t in said):
        return None
    hidden = {t.id for t in said}
    return Removal(kind, frozenset(), frozenset(hidden | {t.id for t in holding}))


def draw_removals(
    kb: KnowledgeBase, examples: Sequence[QAExample], share: float = 0.5, seed: int = 0
) -> Mapping[str, Removal]:
    """Draw a share of the questions, and what is left out for each, by its id; the kinds that fit it take turns."""
    order = list(examples)
    random.Random(seed).shuffle(order)
    wanted = round(share * len(order))
    found: dict[str, Removal] = {}
    for example in order:
        if len(found) == wanted:
            break
        turn = len(found) % len(KINDS)
        removals = (removal_of(kb, example, kind) for kind in (*KINDS[turn:], *KINDS[:turn]))
        if removal := next(filter(None, removals), None):
            found[example.id] = removal
    return found


def without(
    mentions: Iterable[EntityMention], triples: Iterable[Triple], removal: Removal
) -> tuple[tuple[EntityMention, ...], list[Triple]]:
    """Leave entities and triples out of what linking and retrieval found."""
    kept = ((m, tuple(e for e in m.entities if e.id not in removal.entities)) for m in mentions)
    return tuple(EntityMention(m.text, m.start, m.end, e) for m, e in kept if e), _rest(triples, removal)


class Without(KnowledgeBase):
    """The look-ups of an open knowledge base, but for what a removal leaves out; counts stay those of the whole."""

    def __init__(self, kb: KnowledgeBase, removal: Removal) -> None:
        super().__init__(kb.path, kb._view, kb.opening)
        self.removal = removal

    def mentions(self, text: str) -> list[NameMatch]:
        """As of the whole knowledge base, for the entities that are left."""
        found = super().mentions(text)
        kept = [m._replace(entity_ids=tuple(i for i in m.entity_ids if self._has(i))) for m in found]
        return [m for m in kept if m.entity_ids]

    def ids_named(self, names: Sequence[str]) -> list[tuple[int, ...]]:
        """As of the whole knowledge base, for the entities that are left."""
        return [tuple(filter(self._has, ids)) for ids in super().ids_named(names)]

    def entities(self, ids: Sequence[int]) -> list[Entity]:
        """As of the whole knowledge base, for the entities that are left."""
        return super().entities([i for i in ids if self._has(i)])

    def triples_of(self, entity_ids: Sequence[int]) -> list[Triple]:
        """As of the whole knowledge base, for the triples that are left."""
        return _rest(super().triples_of(entity_ids), self.removal)

    def triples_by_id(self, ids: Sequence[int]) -> list[Triple]:
        """As of the whole knowledge base, for the triples that are left."""
        return _rest(super().triples_by_id(ids), self.removal)

    def triples_about(self, name: str, limit: int = 100, listed: bool = False) -> list[Triple]:
        """As of the whole knowledge base, for the triples that are left."""
        found = super().triples_about(name, limit + len(self.removal.triples), listed)
        return _rest(found, self.removal)[:limit]

    def similar_entities(self, texts: Sequence[str], k: int) -> list[list[EntityMatch]]:
        """As of the whole knowledge base, for the entities that are left."""
        return [[m for m in found if self._has(m.entity.id)] for found in super().similar_entities(texts, k)]

    def _has(self, entity_id: int) -> bool:
        return entity_id not in self.removal.entities


def _rest(triples: Iterable[Triple], removal: Removal) -> list[Triple]:
    return [t for t in triples if t.id not in removal.triples and t.subject_id not in removal.entities]
