"""Mentions for names that are misspelt or shortened in the question: the known names most like what stands there.

A mention of this kind has a text that is no alias of its entities; how alike they are is for the ranker to weigh.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from kb_index.knowledge_base import KnowledgeBase
from kb_index.normalize import normalize_name, plain_name
from kb_index.spelling import likeness
from kb_index.types import Entity
from kbqa_agent.spans import Span
from kbqa_agent.types import EntityMention

__all__ = ["similar_mentions"]

MIN_LIKENESS = 0.55
SURE_LIKENESS = 0.85
"""Where a span is so like a name, the spans after it are not tried."""

KNOWN_SHARE = 0.7
"""A span is not looked up where a known name that begins it takes so much: hardly any name is ever more like it."""

MAX_CHARS = 60
"""A longer span is a sentence and no name."""

MAX_TRIED = 2
"""So many spans are looked up, which takes most of the time: later ones end too late for a name."""

MAX_NAMES = 5
FETCHED = 30
"""Names with as many errors as a text may hold come before shortened ones, so more are fetched than linked."""


class _Near(NamedTuple):
    likeness: float
    name: str
    span: Span
    entity: Entity


def similar_mentions(
    kb: KnowledgeBase, question: str, spans: Sequence[Span], exact: Sequence[EntityMention]
) -> list[EntityMention]:
    """Link the spans of a question to the names most like them, unless `exact` has the entity; likeliest first."""
    known = {entity.id for mention in exact for entity in mention.entities}
    by_name: dict[str, list[_Near]] = {}
    for near in sorted(_near(kb, question, spans, exact), key=lambda n: -n.likeness):
        same = by_name.setdefault(near.name, [])
        if not same or same[0].span == near.span:
            same.append(near)
    by_span: dict[Span, list[Entity]] = {}
    for near in (near for name in list(by_name)[:MAX_NAMES] for near in by_name[name]):
        if near.entity.id not in known:
            by_span.setdefault(near.span, []).append(near.entity)
    return [EntityMention(question[s.start : s.end], s.start, s.end, tuple(e)) for s, e in by_span.items()]


def _near(kb: KnowledgeBase, question: str, spans: Sequence[Span], exact: Sequence[EntityMention]) -> Iterator[_Near]:
    for span in _tried(kb, question, spans):
        least = max(MIN_LIKENESS, _known_share(span, exact))
        begins = _known_share(span, [m for m in exact if m.start == span.start])
        if begins >= KNOWN_SHARE or least >= SURE_LIKENESS:
            continue
        found = _names_like(kb, normalize_name(question[span.start : span.end]), span)
        yield from (near for near in found if near.likeness > least)
        if any(near.likeness >= SURE_LIKENESS for near in found):
            return


def _tried(kb: KnowledgeBase, question: str, spans: Sequence[Span]) -> list[Span]:
    """The spans to look up: of the first one, before them, what stands before the longest attribute that ends it."""
    longer = [span for span in spans if 1 < span.end - span.start <= MAX_CHARS]
    ends = [end for start, stop in longer[:1] for end in range(start + 2, stop - 1)]
    counts = kb.attribute_frequency([question[end : longer[0].end] for end in ends]) if ends else ()
    before = [Span(longer[0].start, end) for end, count in zip(ends, counts, strict=True) if count]
    return [*before[:1], *longer][:MAX_TRIED]


def _known_share(span: Span, exact: Sequence[EntityMention]) -> float:
    """How like a span is to the longest known name in it: other names have to be more like it."""
    longest = max((m.end - m.start for m in exact if span.start <= m.start and m.end <= span.end), default=0)
    return longest / (span.end - span.start)


def _names_like(kb: KnowledgeBase, text: str, span: Span) -> list[_Near]:
    [matches] = kb.similar_entities([text], FETCHED)
    names = [plain_name(match.entity.name) for match in matches]
    return [_Near(likeness(text, name), name, span, m.entity) for name, m in zip(names, matches, strict=True)]
