"""Yes-or-no questions over one fact: 法国的首都是巴黎吗."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from kb_index.knowledge_base import KnowledgeBase
from kb_index.normalize import normalize_name
from kb_index.types import Triple
from kbqa_agent.chinese_verbs import PLACE, VERB, attributes_of
from kbqa_agent.features import attribute_of
from kbqa_agent.frame import MARKS, bare
from kbqa_agent.proposals import SURE, told
from kbqa_agent.types import Proposal

__all__ = ["SURE_NO", "claim"]

SURE_NO = 0.7
"""The knowledge base may not know all, so that a no is less sure than a yes."""

_ASKS_IF = re.compile(r"(?:吗|么|对不对|对吗|是吗)[?？。\s]*$|是不是|是否")
_ASKS_WHAT = re.compile(r"什么|谁|哪|多少|几|何|怎|啥|知道")
_PATTERNS = tuple(
    re.compile(pattern)
    for pattern in (
        "(?P<x>.+)的(?P<a>.+?)(?:是|为|叫|等于|在)(?P<y>.+)",
        "(?P<y>.+?)(?:就?是|为)(?P<x>.+)的(?P<a>.+)",
        rf"(?P<x>.+?)(?:是由|是|由)(?P<y>.+?)所?(?P<v>{VERB})的",
        rf"(?P<y>.+?)(?P<v>{VERB})[过了](?P<x>.+)",
        rf"(?P<x>.+?)是?(?P<v>{PLACE})[在于](?P<y>.+)",
        rf"(?P<x>.+?)是?在(?P<y>.+?)(?P<v>{PLACE})的?",
    )
)


class _Claim(NamedTuple):
    """That the entity `name` has a value under one of some attributes."""

    name: str
    attributes: tuple[str, ...]
    value: str


def claim(kb: KnowledgeBase, question: str) -> Proposal | None:
    """Say whether a fact holds, with the triple that says so or otherwise; None where no triple says either."""
    if not _ASKS_IF.search(question) or _ASKS_WHAT.search(question):
        return None
    for claimed in _claims(question):
        known = kb.triples_of([e.id for e in kb.entities_named(claimed.name)])
        facts = [t for t in known if attribute_of(t.predicate) in claimed.attributes]
        if facts:
            return _judged(claimed.value, facts)
    return None


def _judged(value: str, facts: Sequence[Triple]) -> Proposal:
    for_it = [t for t in facts if _same(value, t.object)]
    return told("是", for_it, SURE) if for_it else told("不是", facts, SURE_NO)


def _same(said: str, known: str) -> bool:
    """Whether two values are one, or one is a part of the other, as 上海 is of 上海市."""
    a, b = (normalize_name(text).strip(MARKS) for text in (said, known))
    return a == b or (min(len(a), len(b)) > 1 and (a in b or b in a))


def _claims(question: str) -> Iterator[_Claim]:
    text = re.sub(r"是不是|是否是?", "是", bare(question))
    for pattern in _PATTERNS:
        if match := pattern.fullmatch(text):
            groups = match.groupdict()
            asked = groups.get("a") or groups["v"]
            name, value = (groups[part].strip().strip(MARKS) for part in "xy")
            yield _Claim(name, attributes_of(asked), value)
