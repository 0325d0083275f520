"""Comparison of two entities on one attribute: 姚明和叶莉谁高, which is longer, the Nile or the Amazon."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
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

_MORE = {
    "高": "身高 海拔 高度 最高海拔 海拔高度", "大": "面积 占地面积 人口", "长": "长度 全长 河长 片长 时长",
    "重": "体重 重量", "多": "人口 数量", "快": "最高时速 速度", "贵": "价格 票价", "宽": "宽度", "深": "深度 水深",
    "晚": "出生日期 上映时间 成立时间 出版时间 发行时间", "年轻": "出生日期 出生年月",
    "taller": "height", "higher": "height elevation", "larger": "area population", "bigger": "area population",
    "longer": "length runtime duration", "heavier": "weight mass", "later": "date", "younger": "birth", "newer": "date",
}  # fmt: skip
"""A comparative -> the attributes (in English, their meanings) of which the greater value has it."""

_LESS = {
    "矮": "高", "低": "高", "小": "大", "短": "长", "轻": "重", "少": "多", "慢": "快", "便宜": "贵", "早": "晚",
    "年长": "年轻", "老": "年轻", "窄": "宽", "浅": "深", "shorter": "taller", "lower": "higher", "smaller": "larger",
    "lighter": "heavier", "earlier": "later", "older": "younger",
}  # fmt: skip

_ADJECTIVE = "|".join(sorted((*_MORE, *_LESS), key=len, reverse=True))
_WHO = "(?:谁|哪[一]?[个座位部家条本国款首])"
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


class _Comparison(NamedTuple):
    """Two mentions, the comparative, an attribute if the question names one, and whether it is asked if it is so."""

    first: EntityMention
    second: EntityMention
    adjective: str
    attribute: str
    is_claim: bool


def compare(question: str, mentions: Sequence[EntityMention], triples: Sequence[Triple]) -> Proposal | None:
    """Compare two entities on an attribute that both have; None where the question or the triples do not fit.

    The values are the winner, or both where they are equal; or 是 or 不是 where the question claims which one it is.
    """
    for asked in _comparisons(question, mentions):
        for first, second in _facts(asked, triples):
            a, b = quantity(first.object), quantity(second.object)
            if a is not None and b is not None and a.measures == b.measures:
                sign = -1 if asked.adjective in _LESS else 1
                return _told(asked, first, second, sign * (a.value - b.value))
    return None


def _told(asked: _Comparison, first: Triple, second: Triple, difference: float) -> Proposal:
    evidence = (first, second) if difference >= 0 else (second, first)
    if asked.is_claim:
        names: tuple[str, ...] = ("是" if difference > 0 else "不是",)
    else:
        names = tuple(t.subject for t in evidence)[: 1 if difference else 2]
    return Proposal(tuple(Candidate(name, SURE, evidence) for name in names), names)


def _facts(asked: _Comparison, triples: Sequence[Triple]) -> Iterator[tuple[Triple, Triple]]:
    """The facts of the two entities that can be compared: the same attribute, in the order of the table."""
    wanted = _MORE[_LESS.get(asked.adjective, asked.adjective)].split()
    sides = [[t for t in triples if t.subject_id in {e.id for e in m.entities}] for m in (asked.first, asked.second)]
    for name in [asked.attribute] if asked.attribute else wanted:
        for first in (t for t in sides[0] if _fits(t, name)):
            same = attribute_of(first.predicate)
            yield from ((first, t) for t in sides[1] if attribute_of(t.predicate) == same)


def _fits(triple: Triple, name: str) -> bool:
    return attribute_of(triple.predicate) == attribute_of(name) or name in meanings_of(triple.predicate)


def _comparisons(question: str, mentions: Iterable[EntityMention]) -> Iterator[_Comparison]:
    for first, second in permutations(mentions, 2):
        if first.end > second.start:
            continue
        before = question[: first.start].rstrip(MARKS)
        between = question[first.end : second.start].strip(MARKS)
        after = without_closing(question[second.end :].lstrip(MARKS))
        if _AND.fullmatch(between):
            match = _WHICH_AFTER.fullmatch(after) or (None if after else _WHICH_BEFORE.fullmatch(before))
            if match:
                named = match.groupdict()
                yield _Comparison(first, second, match["adj"], named.get("a") or named.get("b") or "", is_claim=False)
        elif (than := _THAN.fullmatch(between)) and (match := _IS_MORE.fullmatch(after)):
            named_attribute = than["a"] or match["a"] or ""
            yield _Comparison(first, second, match["adj"], named_attribute, is_claim=True)
