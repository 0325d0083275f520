"""Comparison of two entities or more on one attribute: 姚明和叶莉谁高, which is longer, the Nile or the Amazon."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import permutations
from typing import NamedTuple

from kb_index.types import Triple
from kbqa_agent.english_cues import meanings_of
from kbqa_agent.features import attribute_of
from kbqa_agent.frame import MARKS, without_closing
from kbqa_agent.proposals import SURE
from kbqa_agent.quantities import quantity
from kbqa_agent.types import Candidate, EntityMention, Proposal

__all__ = ["compare"]

_BORN = "出生日期 出生年月 出生时间 生日"
_BEGUN = "上映时间 上映日期 成立时间 成立日期 创办时间 创建时间 建立时间 出版时间 发行时间"

_MORE = {
    "高": "身高 海拔 高度 最高海拔 海拔高度", "大": f"面积 占地面积 人口 {' '.join('-' + a for a in _BORN.split())}",
    "长": "长度 全长 河长 片长 时长", "重": "体重 重量", "多": "人口 数量", "快": "最高时速 速度", "贵": "价格 票价",
    "宽": "宽度", "深": "深度 水深", "晚": f"{_BORN} {_BEGUN}", "年轻": _BORN,
    "taller": "height", "higher": "height elevation", "larger": "area population", "bigger": "area population",
    "longer": "length runtime duration height", "heavier": "weight mass", "later": "date", "younger": "birth",
    "newer": "date", "older": "-birth -date",
}  # fmt: skip
"""A comparative -> the attributes (in English, their meanings) of which the greater value has it; -: the lesser one."""

_LESS = {
    "矮": "高", "低": "高", "小": "大", "短": "长", "轻": "重", "少": "多", "慢": "快", "便宜": "贵", "早": "晚",
    "年长": "年轻", "年龄大": "年轻", "年纪大": "年轻", "老": "年轻", "窄": "宽", "浅": "深", "shorter": "longer",
    "lower": "higher", "smaller": "larger", "lighter": "heavier", "earlier": "later",
}  # fmt: skip
_LIKE = {"年龄小": "年轻", "年纪小": "年轻"}

_ADJECTIVE = "|".join(sorted((*_MORE, *_LESS, *_LIKE), key=len, reverse=True))
_COMPARES = re.compile(_ADJECTIVE)
_WHO = "(?:谁|哪一?[个座位部家条本国款首])"
_AND = re.compile(r"[和与跟同、或及]|或者|还是|,?\s*(?:or|and)\s+(?:the\s+)?")
_THAN = re.compile(r"的?(?P<a>.{1,8}?)??(?:是不是)?比")
_WHICH_AFTER = re.compile(
    rf"的?(?P<a>.{{1,8}}?)??(?:相比|比较|比)?[,，]?\s*{_WHO}的?(?P<b>.{{1,8}}?)??(?:更|比较|最)?"
    rf"(?P<adj>{_ADJECTIVE})(?:一些|一点)?"
)
_WHICH_BEFORE = re.compile(
    rf"(?:.*{_WHO}|(?i:(?:who|which|what)\b.*?))\s*(?:更|比较|最|is|was|released|born|\s)*"
    rf"(?P<adj>{_ADJECTIVE})\W*(?:the\s+)?"
)
_IS_MORE = re.compile(rf"的?(?P<a>.{{1,8}}?)??(?:更|要|还)?(?P<adj>{_ADJECTIVE})")
_IS = re.compile(r"(?i)\s*(?:is|are|was|were)\s+(?:the\s+)?")
_IS_MORE_THAN = re.compile(rf"\s*(?:released|born)?\s*(?P<adj>{_ADJECTIVE})\s+than\s+(?:the\s+)?")

MOST_BETWEEN = 60
"""More characters than stand between two names that are compared."""


class _Comparison(NamedTuple):
    """Two mentions, the comparative, what the question says of the attribute, and how it is answered if it is so."""

    first: EntityMention
    second: EntityMention
    adjective: str
    named: str = ""
    yes_or_no: tuple[str, str] | None = None


class _Pair(NamedTuple):
    """The facts of two entities, and by how much the first is more of what is asked."""

    facts: tuple[Triple, Triple]
    difference: float


class _Verdict(NamedTuple):
    """Whether the first (1), the second (-1) or neither has it, the facts, winner first, and the share that says so."""

    sign: int
    facts: tuple[Triple, ...]
    share: float


def compare(question: str, mentions: Sequence[EntityMention], triples: Sequence[Triple]) -> Proposal | None:
    """Compare entities on an attribute that all have; None where the question or the triples do not fit.

    The values are the winner, or two where they are equal; or yes or no where the question claims which one it is.
    Where homonyms or several values disagree, the greater number decides, and its share is in the confidence.
    """
    for asked in _comparisons(question, mentions):
        others = [] if asked.yes_or_no else _listed_before(question, asked.first, mentions)
        if verdicts := _verdicts(asked, others, triples):
            return _told(asked, verdicts)
    return None


def _listed_before(question: str, mention: EntityMention, mentions: Sequence[EntityMention]) -> list[EntityMention]:
    """The mentions that are joined to one from before it, the nearest first: 苏州、杭州 before 南京."""
    for other in mentions:
        if other.end <= mention.start and _AND.fullmatch(question[other.end : mention.start].strip(MARKS)):
            return [other, *_listed_before(question, other, mentions)]
    return []


def _verdicts(asked: _Comparison, others: Iterable[EntityMention], triples: Sequence[Triple]) -> list[_Verdict]:
    """The first two compared, then their winner with each other one; none where two cannot be compared."""
    found: list[_Verdict] = []
    for other in (None, *others):
        if other is not None:
            asked = asked._replace(first=other, second=asked.first if found[-1].sign >= 0 else asked.second)
        if not (pairs := _pairs(asked, triples)):
            return []
        found.append(_verdict(pairs))
    return found


def _verdict(pairs: Sequence[_Pair]) -> _Verdict:
    signs = [(p.difference > 0) - (p.difference < 0) for p in pairs]
    sign = max(dict.fromkeys(signs), key=signs.count)
    facts = pairs[signs.index(sign)].facts
    return _Verdict(sign, facts if sign >= 0 else facts[::-1], signs.count(sign) / len(signs))


def _told(asked: _Comparison, verdicts: Sequence[_Verdict]) -> Proposal:
    last = verdicts[-1]
    evidence = tuple(dict.fromkeys(t for v in reversed(verdicts) for t in v.facts))
    names = tuple(t.subject for t in last.facts)[: 1 if last.sign else 2]
    if asked.yes_or_no:
        names = (asked.yes_or_no[last.sign <= 0],)
    score = SURE * min(v.share for v in verdicts)
    return Proposal(tuple(Candidate(name, score, evidence) for name in names), names)


def _pairs(asked: _Comparison, triples: Sequence[Triple]) -> list[_Pair]:
    """The facts of both entities under the first attribute of the table, or the one that is named, that both have."""
    sides = [_facts(mention, triples) for mention in (asked.first, asked.second)]
    for attribute, sign in _attributes(asked, sides[0]):
        first, second = ([t for t in side if _is(t, attribute)] for side in sides)
        found = [_Pair((a, b), sign * more) for a in first for b in second if (more := _more(a, b)) is not None]
        if found:
            return found
    return []


def _facts(mention: EntityMention, triples: Sequence[Triple]) -> list[Triple]:
    """What is known of a mention's entities, those first that are called so and no more."""
    ids = {e.id for e in mention.entities}
    return sorted((t for t in triples if t.subject_id in ids), key=lambda t: t.subject != mention.text)


def _attributes(asked: _Comparison, facts: Iterable[Triple]) -> Iterator[tuple[str, int]]:
    """What may be compared, and whether more of it (1) or less (-1) makes the winner."""
    sign = -1 if asked.adjective in _LESS else 1
    said = asked.named.removesuffix("得")
    if said:
        known = dict.fromkeys(attribute_of(t.predicate) for t in facts)
        yield from ((a, sign) for a in known if len(a) > 1 and (said.endswith(a) or a.startswith(said)))
    else:
        basic = _LESS.get(asked.adjective, _LIKE.get(asked.adjective, asked.adjective))
        yield from ((a.removeprefix("-"), -sign if a[0] == "-" else sign) for a in _MORE[basic].split())


def _is(triple: Triple, attribute: str) -> bool:
    return attribute_of(triple.predicate) == attribute or attribute in meanings_of(triple.predicate)


def _more(first: Triple, second: Triple) -> float | None:
    if attribute_of(first.predicate) != attribute_of(second.predicate):
        return None
    a, b = quantity(first.object), quantity(second.object)
    return a.value - b.value if a and b and a.measures == b.measures else None


def _comparisons(question: str, mentions: Iterable[EntityMention]) -> Iterator[_Comparison]:
    if not _COMPARES.search(question):  # nearly all questions, and all pairs of their names would be tried
        return
    closed = cache(lambda end: without_closing(question[end:].lstrip(MARKS)))
    for first, second in permutations(mentions, 2):
        if 0 <= second.start - first.end <= MOST_BETWEEN:  # else a question full of names would take a minute
            before = question[: first.start].rstrip(MARKS)
            between = question[first.end : second.start].strip(MARKS)
            after = closed(second.end)
            if comparison := _comparison(first, second, before, between, after):
                yield comparison


def _comparison(
    first: EntityMention, second: EntityMention, before: str, between: str, after: str
) -> _Comparison | None:
    if _AND.fullmatch(between):
        match = _WHICH_AFTER.fullmatch(after) or (None if after else _WHICH_BEFORE.fullmatch(before))
        if match:
            named = match.groupdict()
            return _Comparison(first, second, match["adj"], named.get("a") or named.get("b") or "")
    elif (than := _THAN.fullmatch(between)) and (match := _IS_MORE.fullmatch(after)):
        return _Comparison(first, second, match["adj"], than["a"] or match["a"] or "", ("是", "不是"))
    elif _IS.fullmatch(before) and not after and (match := _IS_MORE_THAN.fullmatch(between)):
        return _Comparison(first, second, match["adj"], yes_or_no=("yes", "no"))
    return None
