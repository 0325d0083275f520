"""Question -> entity mentions: every alias of an entity that stands in it, and a back-off for other spellings.

All readings are kept, overlapping ones too: which of them is meant is decided by the ranker, which sees what the
question asks of each. Names are also looked for in the other Chinese script, and those of one character where the
wording puts a name. Where that place holds no known name, the names most like what stands there are linked too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from kb_index.knowledge_base import KnowledgeBase
from kb_index.normalize import strip_description
from kb_index.types import Entity
from kbqa_agent.misspelling import similar_mentions
from kbqa_agent.scripts import other_scripts
from kbqa_agent.spans import Span, name_spans
from kbqa_agent.types import EntityMention

__all__ = ["link", "link_many"]

MAX_HOMONYMS = 300
"""So many entities of a name are linked where a name should begin; a large knowledge base has hundreds of 城关镇."""

MAX_HOMONYMS_ELSEWHERE = 50
"""So many entities of a name are linked elsewhere, where it mostly is a chance name."""

Found = dict[tuple[int, int], tuple[int, ...]]
"""(start, end) of a stretch of the question -> the ids of the entities of that name."""


def link(kb: KnowledgeBase, question: str) -> tuple[EntityMention, ...]:
    """Find the mentions of a question, longest first, and after them those that are near to a name only."""
    return link_many(kb, [question])[0]


def link_many(kb: KnowledgeBase, questions: Sequence[str]) -> list[tuple[EntityMention, ...]]:
    """Find the mentions of each question, with one look-up of all entities."""
    spans = [name_spans(question) for question in questions]
    found = [_names_in(kb, question, of_question) for question, of_question in zip(questions, spans, strict=True)]
    ids = {i for of_question in found for named in of_question.values() for i in named}
    entities = {e.id: e for e in kb.entities(sorted(ids))}
    return [
        _mentions(kb, question, of_question, named, entities)
        for question, of_question, named in zip(questions, spans, found, strict=True)
    ]


def _mentions(
    kb: KnowledgeBase, question: str, spans: Sequence[Span], found: Found, entities: Mapping[int, Entity]
) -> tuple[EntityMention, ...]:
    longest_first = sorted(found, key=lambda at: (at[0] - at[1], at[0]))
    # Their shard may have been lost since the names were found.
    there = {at: tuple(entities[i] for i in found[at] if i in entities) for at in longest_first}
    exact = [EntityMention(question[s:e], s, e, of) for (s, e), of in there.items() if of]
    if _is_named(kb, question, spans, found):
        return tuple(exact)
    return (*exact, *similar_mentions(kb, question, spans, exact))


def _is_named(kb: KnowledgeBase, question: str, spans: Sequence[Span], found: Found) -> bool:
    """Whether a known name stands where a name should: a span is one, or is one with an attribute after it."""
    if any(span in found for span in spans):
        return True
    rests = {question[e : span.end] for span in spans for s, e in found if s == span.start and s + 1 < e < span.end - 1}
    return bool(rests) and bool(kb.attribute_frequency(sorted(rests)).any())


def _names_in(kb: KnowledgeBase, question: str, spans: Sequence[Span]) -> Found:
    """Every name in the question; where no span is one, every name in the question's other script too.

    A name with its description, 李明(画家), is meant as it stands: the names inside it are left out.
    """
    found: Found = {(m.start, m.end): m.entity_ids for m in kb.mentions(question)}
    others = other_scripts(question)
    written: list[tuple[Span, str]] = []
    for start, end in (*spans, *_first_characters(spans, found)):
        texts = {question[start:end]} if end - start == 1 else set()
        texts |= {other[start:end] for other in others if other[start:end] != question[start:end]}
        written += ((Span(start, end), text) for text in sorted(texts))
    for (at, _), ids in zip(written, kb.ids_named([text for _, text in written]), strict=True):
        _add(found, at, ids)
    if not any(span in found for span in spans):
        for match in (m for other in others for m in kb.mentions(other)):
            _add(found, (match.start, match.end), match.entity_ids)
    begins = {span.start for span in spans}
    described = [at for at in found if strip_description(question[slice(*at)])[1]]
    return {
        at: ids[: MAX_HOMONYMS if at[0] in begins else MAX_HOMONYMS_ELSEWHERE]
        for at, ids in found.items()
        if not any(start <= at[0] and at[1] <= end and at != (start, end) for start, end in described)
    }


def _first_characters(spans: Sequence[Span], found: Found) -> set[Span]:
    """The characters where a name should begin and none of more characters does."""
    return {Span(span.start, span.start + 1) for span in spans} - {Span(start, start + 1) for start, _ in found}


def _add(found: Found, at: tuple[int, int], entity_ids: Iterable[int]) -> None:
    more = tuple(entity_ids)
    if more:
        found[at] = tuple(dict.fromkeys((*found.get(at, ()), *more)))
