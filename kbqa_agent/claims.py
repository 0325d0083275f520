"""Yes-or-no questions over one fact: 法国的首都是巴黎吗, and 法国使用欧元吗 by way of 法国使用什么."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from kb_index.knowledge_base import KnowledgeBase
from kb_index.normalize import normalize_name
from kb_index.types import Triple
from kbqa_agent.chinese_verbs import PLACE, VERB, attributes_of
from kbqa_agent.features import attribute_of
from kbqa_agent.frame import MARKS, bare
from kbqa_agent.proposals import SURE, told
from kbqa_agent.types import Answer, EntityMention, Proposal

__all__ = ["SURE_NO", "asks_if", "claim", "claim_by_asking"]

SURE_NO = 0.85
"""The knowledge base may not know all, so that a no is less sure than a yes."""
MAX_ASKED = 3
MAX_TRIPLES = 1000

_ASKS_IF = re.compile(r"(?:吗|么|对不对|对吗|是吗)[?？。\s]*$|是不是|是否|有没有")
_ASKS_WHAT = re.compile(r"什么|谁|哪|多少|几|何|怎|啥|知道|了解|清楚|告诉|介绍|解释|说说")
_SAYS_SO = re.compile(r"\W*(?:是|否|有|无|没有|不?支持|不?可以|不?能)\W*")
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
    if not asks_if(question):
        return None
    for claimed in _claims(question):
        known = kb.triples_of([e.id for e in kb.entities_named(claimed.name)])
        facts = [t for t in known if attribute_of(t.predicate) in claimed.attributes]
        if facts:
            return _judged(claimed.value, facts)
    return None


def claim_by_asking(
    kb: KnowledgeBase, question: str, mentions: Sequence[EntityMention], ask: Callable[[str], Answer | None]
) -> Proposal | None:
    """Judge a claim in other words: ask for what one of its names stands for, and see whether it is among the answers.

    None where no such question has an answer, or none that the name could be: a no needs another entity of which the
    name is a value of the same attribute. `ask` gives None where nothing is likely enough.
    """
    judged: list[Proposal] = []
    for name, facts in _answers(question, mentions, ask) if asks_if(question) else ():
        if any(_same(name, t.object) for t in facts) or _is_value(kb, name, facts[-1]):
            judged.append(_judged(name, facts))
    return max(judged, key=lambda p: p.candidates[0].score, default=None)


def _answers(
    question: str, mentions: Sequence[EntityMention], ask: Callable[[str], Answer | None]
) -> Iterator[tuple[str, list[Triple]]]:
    """What is known in place of each name, as far as it is about another name and no yes or no itself."""
    for mention in _apart(mentions)[:MAX_ASKED]:
        answer = ask(_unframed(question[: mention.start] + "什么" + question[mention.end :]))
        facts = [t for c in answer.candidates if c.answer in answer.values for t in c.evidence] if answer else []
        if facts and not any(_same(mention.text, t.subject) or _is_yes_or_no(t) for t in facts):
            yield mention.text, facts


def _is_yes_or_no(fact: Triple) -> bool:
    """Whether a fact's value is itself a yes or no, as 支持, or 纳入 of 是否纳入医保: it is one about an attribute."""
    return bool(_SAYS_SO.fullmatch(fact.object)) or fact.object in fact.predicate


def asks_if(question: str) -> bool:
    """Whether the wording asks for a yes or a no."""
    return bool(_ASKS_IF.search(question)) and not _ASKS_WHAT.search(question)


def _apart(mentions: Sequence[EntityMention]) -> list[EntityMention]:
    """The longest mentions that do not overlap, the last first; none where there is only one."""
    kept: list[EntityMention] = []
    for m in mentions:
        if all(m.end <= k.start or k.end <= m.start for k in kept) and len(m.text) > 1:
            kept.append(m)
    return sorted(kept, key=lambda m: -m.start) if len(kept) > 1 else []


def _is_value(kb: KnowledgeBase, name: str, like: Triple) -> bool:
    """Whether another triple of the same attribute has the name as its object."""
    asked = attribute_of(like.predicate)
    return any(attribute_of(t.predicate) == asked for t in kb.triples_about(name, MAX_TRIPLES))


def _judged(value: str, facts: Sequence[Triple]) -> Proposal:
    for_it = [t for t in facts if _same(value, t.object)]
    return told("是", for_it, SURE) if for_it else told("不是", facts, SURE_NO)


def _same(said: str, known: str) -> bool:
    """Whether two values are one, or one is a part of the other, as 上海 is of 上海市."""
    a, b = (normalize_name(text).strip(MARKS) for text in (said, known))
    return a == b or (min(len(a), len(b)) > 1 and (a in b or b in a))


def _unframed(question: str) -> str:
    return re.sub(r"是不是|是否是?", "是", bare(question))


def _claims(question: str) -> Iterator[_Claim]:
    text = _unframed(question)
    for pattern in _PATTERNS:
        if match := pattern.fullmatch(text):
            groups = match.groupdict()
            asked = groups.get("a") or groups["v"]
            name, value = (groups[part].strip().strip(MARKS) for part in "xy")
            yield _Claim(name, tuple(chain(*attributes_of(asked))), value)
