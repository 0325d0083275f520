"""Descriptions that stand at the beginning of a question in place of a name: 首都是巴黎的国家, 写《雪山飞狐》的人."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from kb_index.knowledge_base import KnowledgeBase
from kb_index.types import Triple
from kbqa_agent.chinese_verbs import VERB, attributes_of
from kbqa_agent.features import attribute_of
from kbqa_agent.frame import CLOSING_MARKS, OPENING_MARKS
from kbqa_agent.reverse import triples_with_object

__all__ = ["Described", "described"]

_X = rf"[{OPENING_MARKS}]?(?P<x>[^{OPENING_MARKS}{CLOSING_MARKS}的是]+)[{CLOSING_MARKS}]?"
_OF_SUBJECT = re.compile(
    rf"(?P<a>[^的是]{{1,8}})(?:是|为|叫){_X}的(?:那个)?(?P<n>[^的是谁哪什]{{1,4}}?)(?=的|毕业|出生)"
)
_OF_OBJECT = re.compile(rf"(?P<a>{VERB})[过了]?{_X}的(?:那个)?(?:人|作者|导演|歌手|演员|作家)(?=的|毕业|出生)")


class Described(NamedTuple):
    """The name that the beginning `question[:end]` stands for, and the triple that says so."""

    end: int
    name: str
    fact: Triple


def described(kb: KnowledgeBase, question: str) -> Iterator[Described]:
    """Yield what the beginning of a question describes, if it describes anything that the triples know."""
    if match := _OF_SUBJECT.match(question):
        for t in triples_with_object(kb, match["x"], attributes_of(match["a"])):
            yield Described(match.end(), t.subject, t)
    if match := _OF_OBJECT.match(question):
        asked = {attribute for group in attributes_of(match["a"]) for attribute in group}
        for t in kb.triples_of([e.id for e in kb.entities_named(match["x"])]):
            if attribute_of(t.predicate) in asked:
                yield Described(match.end(), t.object, t)
