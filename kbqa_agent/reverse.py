"""Reverse questions: 曹雪芹写过哪些书 is answered by the subjects of the triples whose object is 曹雪芹.

A question is one when its wording fits a pattern, and the index has triples with that object and that attribute.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from kb_index.knowledge_base import KnowledgeBase
from kb_index.types import Triple
from kbqa_agent.chinese_verbs import MEMBER, PLACE, VERB, WORK, attributes_of
from kbqa_agent.features import attribute_of
from kbqa_agent.frame import CLOSING_MARKS, OPENING_MARKS, bare
from kbqa_agent.proposals import listed
from kbqa_agent.types import Proposal

__all__ = ["reverse", "triples_with_object"]

MAX_TRIPLES = 1000

_X = rf"[{OPENING_MARKS}]?(?P<x>[^{OPENING_MARKS}{CLOSING_MARKS}]+?)[{CLOSING_MARKS}]?"
_V, _P, _W, _M = (f"(?P<v>{words})" for words in (VERB, PLACE, WORK, MEMBER))
_A = "(?P<a>.{1,12}?)"
_UNIT = "[部本首个种款座位名家支篇张条所件]"
_WHICH = f"(?:多少{_UNIT}?|哪一?些|哪一?几?{_UNIT}?|什么|几{_UNIT})"
_THING = "(?P<n>[^的]{1,8}?)"
_ALL = "(?:一共|总共|分别|曾经|曾|还|都|主要)*"
_ARE_WHICH = f"{_ALL}(?:有|是){_ALL}(?:谁|{_WHICH}.{{0,4}})"

_DOES = tuple(
    re.compile(pattern)
    for pattern in (
        rf"{_X}{_ALL}{_V}(?:过|了|的)?{_ALL}(?:有|是)?{_WHICH}{_THING}",
        rf"{_X}{_ALL}所?{_V}过?的{_THING}{_ARE_WHICH}",
        rf"{_X}的?{_ALL}有{_ALL}{_WHICH}{_W}",
        rf"{_X}的{_W}{_ARE_WHICH}",
        rf"{_X}的?{_ALL}有{_ALL}{_WHICH}{_M}",
    )
)
"""Such a question may also ask for an attribute of the entity: 曹雪芹写过哪些书 for its 代表作."""

_HAS = tuple(
    re.compile(pattern)
    for pattern in (
        rf"有?{_WHICH}{_THING}{_ALL}(?:是由|是|由|为){_X}所?{_V}的?",
        rf"(?:谁|{_WHICH}{_THING})的{_A}(?:就?是|为|叫){_X}",
        rf"{_X}(?:就?是|为)(?:谁|{_WHICH}{_THING})的{_A}",
        rf"(?:谁|{_WHICH}{_THING})以{_X}(?:作为|为){_A}",
        rf"以{_X}(?:作为|为){_A}的{_THING}{_ARE_WHICH}",
        rf"{_A}(?:是|为){_X}的{_THING}{_ARE_WHICH}",
        rf"有?(?:谁|{_WHICH}{_THING}){_ALL}是?在{_X}{_P}的?",
        rf"有?(?:谁|{_WHICH}{_THING}){_ALL}是?{_P}(?:于|自|在){_X}的?",
        rf"{_P}(?:于|自|在){_X}的{_THING}{_ARE_WHICH}",
        rf"{_X}{_P}的{_THING}{_ARE_WHICH}",
        rf"有?{_WHICH}{_M}{_ALL}(?:属于|位于|在){_X}",
    )
)


class _Reading(NamedTuple):
    """A way to read a question: who has the object `name` under attributes of the first of these groups that fits."""

    name: str
    attributes: Sequence[tuple[str, ...]]


def reverse(kb: KnowledgeBase, question: str, has_attribute: bool = False) -> Proposal | None:
    """Answer a reverse question with all subjects that fit, in the order of their triples; None where it is none.

    Where an attribute of the entity itself fits the question (`has_attribute`), wordings that may ask for it are left.
    """
    for reading in _readings(question, _HAS if has_attribute else (*_HAS, *_DOES)):
        if found := triples_with_object(kb, *reading):
            return listed((t.subject, t) for t in found)
    return None


def _readings(question: str, patterns: Iterable[re.Pattern[str]]) -> Iterator[_Reading]:
    text = bare(question)
    return (_reading(match) for pattern in patterns if (match := pattern.fullmatch(text)))


def _reading(match: re.Match[str]) -> _Reading:
    groups = match.groupdict()
    return _Reading(groups["x"].strip(), attributes_of(groups.get("a") or groups["v"]))


def triples_with_object(kb: KnowledgeBase, name: str, attributes: Iterable[tuple[str, ...]]) -> list[Triple]:
    """List the triples with a name as object, or in it, and an attribute of the first of the groups that any fits."""
    about = kb.triples_about(name, MAX_TRIPLES, listed=True)
    fitting = ([t for t in about if attribute_of(t.predicate) in group] for group in attributes)
    return next((found for found in fitting if found), [])
