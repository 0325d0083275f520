"""Questions by a verb for who did something to a thing: 谁演过红高粱 is answered by the thing's attribute 主演."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from kb_index.types import Triple
from kbqa_agent.chinese_verbs import VERB, attributes_of, is_asked_by_verb
from kbqa_agent.features import attribute_of
from kbqa_agent.frame import CLOSING_MARKS, OPENING_MARKS, bare
from kbqa_agent.proposals import listed, subject_meant
from kbqa_agent.types import Candidate, EntityMention, Proposal

__all__ = ["doers"]

ENOUGH, ENOUGH_BY_VERB = 0.5, 0.1
"""The ranker is believed where its first is as likely; the second number is for an attribute that the verb asks for."""

_X = rf"[{OPENING_MARKS}]?(?P<x>[^{OPENING_MARKS}{CLOSING_MARKS}]+?)[{CLOSING_MARKS}]?"
_WHO = "(?:有?谁|有?哪些(?:人|明星|演员|歌手|作家))"
_PATTERNS = tuple(
    re.compile(pattern)
    for pattern in (
        rf"(?:都有)?{_WHO}(?:曾经?|都)?(?P<v>{VERB})[过了的]?{_X}",
        rf"{_X}这?[部本首]?(?:电影|电视剧|小说|书|歌)?(?:是由|是|由|都?有){_WHO}所?(?P<v>{VERB})[过了]?的?",
    )
)


class _Asked(NamedTuple):
    """The thing that a question names, and the groups of attributes that its verb may ask for."""

    name: str
    attributes: Sequence[tuple[str, ...]]


def doers(
    question: str, mentions: Sequence[EntityMention], triples: Sequence[Triple], ranked: Sequence[Candidate]
) -> Proposal | None:
    """Answer with all who did it; None where the wording is another, or no entity of that name has such an attribute.

    Where the first of `ranked` is likely, and its attribute is not what another verb asks for, it is left to decide. Of
    several entities of that name the one that comes first there, with whatever attribute, is meant.
    """
    asked = next(_asked(question), None)
    if asked is None or (ranked and _is_likely(ranked[0], asked)):
        return None
    ids = {e.id for m in mentions if m.text == asked.name for e in m.entities}
    for group in asked.attributes:
        found = [t for t in triples if t.subject_id in ids and attribute_of(t.predicate) in group]
        if found:
            meant = subject_meant(found, ranked)
            return listed((t.object, t) for t in found if t.subject_id == meant)
    return None


def _asked(question: str) -> Iterator[_Asked]:
    text = bare(question)
    matches = filter(None, (pattern.fullmatch(text) for pattern in _PATTERNS))
    return (_Asked(match["x"], attributes_of(match["v"])) for match in matches)


def _is_likely(best: Candidate, asked: _Asked) -> bool:
    attribute = attribute_of(best.evidence[0].predicate)
    if any(a == attribute or (len(a) > 1 and a in attribute) for group in asked.attributes for a in group):
        return best.score >= ENOUGH_BY_VERB
    return best.score >= ENOUGH and not is_asked_by_verb(attribute)
