"""Reverse questions: 曹雪芹写过哪些书 is answered by the subjects of the triples whose object is 曹雪芹.

A question is one when its wording fits a pattern, and the index has triples with that object and that attribute.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from kb_index.knowledge_base import KnowledgeBase
from kb_index.normalize import QUOTES
from kb_index.types import Triple
from kbqa_agent.features import attribute_of
from kbqa_agent.types import Candidate, Proposal

__all__ = ["reverse"]

MAX_TRIPLES = 1000
SURE = 0.9
"""The confidence of an answer whose wording and triples both fit."""

_VERBS = {
    "写": "作者 原作者 著者 编著 编剧", "著": "作者 著者 编著", "撰写": "作者 著者", "创作": "作者 原作者 创作者",
    "编写": "作者 编著 主编", "主编": "主编 编者", "翻译": "译者 翻译", "编剧": "编剧",
    "导演": "导演", "执导": "导演", "拍": "导演", "监制": "监制", "制作": "制作人 制作公司",
    "演": "主演 演员 领衔主演", "主演": "主演 领衔主演", "出演": "主演 演员", "参演": "主演 演员",
    "唱": "歌手 演唱者 原唱 演唱 歌曲原唱", "演唱": "歌手 演唱者 原唱 演唱 歌曲原唱", "配音": "配音 主要配音",
    "作曲": "作曲 谱曲", "作词": "作词 填词", "填词": "填词 作词", "画": "作者 画家", "雕": "作者 雕塑家",
    "出版": "出版社 出版者", "发行": "发行公司 发行商 唱片公司", "开发": "开发商 研发商 开发公司",
    "设计": "设计师 设计者", "发明": "发明者 发明人", "发现": "发现者 发现人",
    "生产": "生产商 制造商 厂商 生产厂家", "制造": "制造商 生产商 厂商",
    "创办": "创始人 创办人 创办者", "创立": "创始人 创立者 创办人", "创建": "创始人 创建者 创办人",
}  # fmt: skip
"""What somebody does to a thing -> the thing's attributes that name them."""

_PLACES = {
    "出生": "出生地 出生地点",
    "生": "出生地 出生地点",
    "毕业": "毕业院校 毕业学校 母校",
    "位于": "位置 所在地 地理位置",
}

_OPEN, _SHUT = "".join(QUOTES), "".join(QUOTES.values())
_X = rf"[{_OPEN}]?(?P<x>[^{_OPEN}{_SHUT}]+?)[{_SHUT}]?"
_V = f"(?P<v>{'|'.join(sorted(_VERBS, key=len, reverse=True))})"
_P = f"(?P<v>{'|'.join(sorted(_PLACES, key=len, reverse=True))})"
_A = "(?P<a>.{1,12}?)"
_WHICH = "(?:哪一?[些几]?[部本首个种款座位名家支篇张条所件]?|什么|几[部本首个种款座位名家支篇张条所件])"
_THING = "(?P<n>.{1,8}?)"
_ALL = "(?:一共|总共|分别|曾经|曾|还|都|主要)*"

_DOES = tuple(
    re.compile(pattern)
    for pattern in (
        rf"{_X}{_ALL}{_V}(?:过|了|的)?{_ALL}(?:有|是)?{_WHICH}{_THING}",
        rf"{_X}{_ALL}所?{_V}过?的{_THING}{_ALL}(?:有|是){_ALL}{_WHICH}.{{0,4}}",
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
        rf"以{_X}(?:作为|为){_A}的{_THING}{_ALL}(?:有|是){_ALL}(?:谁|{_WHICH}.{{0,4}})",
        rf"{_A}(?:是|为){_X}的{_THING}{_ALL}(?:有|是){_ALL}(?:谁|{_WHICH}.{{0,4}})",
        rf"有?(?:谁|{_WHICH}{_THING}){_ALL}是?在{_X}{_P}的?",
        rf"有?(?:谁|{_WHICH}{_THING}){_ALL}是?{_P}(?:于|自|在){_X}的?",
        rf"{_P}(?:于|自|在){_X}的{_THING}{_ALL}(?:有|是){_ALL}(?:谁|{_WHICH}.{{0,4}})",
    )
)

_POLITE = re.compile(r"^(?:请问|请告诉我|告诉我|你知道|我想知道|谁知道)+[,，：:]?")
_END = re.compile(r"[\s?？。.!！吗呢啊呀]+$")


class _Reading(NamedTuple):
    """A way to read a question: who has the object `name` under the first of these attributes that any entity has it."""

    name: str
    attributes: tuple[str, ...]


def reverse(kb: KnowledgeBase, question: str, has_attribute: bool = False) -> Proposal | None:
    """Answer a reverse question with all subjects that fit, in the order of their triples; None where it is none.

    Where an attribute of the entity itself fits the question (`has_attribute`), wordings that may ask for it are left.
    """
    for reading in dict.fromkeys(_readings(question, _HAS if has_attribute else (*_HAS, *_DOES))):
        if found := _fitting(kb.triples_about(reading.name, MAX_TRIPLES), reading.attributes):
            return _proposal(found)
    return None


def _readings(question: str, patterns: Iterable[re.Pattern[str]]) -> Iterator[_Reading]:
    text = _END.sub("", _POLITE.sub("", question.strip()))
    for pattern in patterns:
        if match := pattern.fullmatch(text):
            groups = match.groupdict()
            asked = groups.get("a") or groups["v"]
            known = _VERBS.get(asked, "") or _PLACES.get(asked, "")
            yield _Reading(groups["x"].strip(), (attribute_of(asked), *known.split()))


def _fitting(triples: Iterable[Triple], attributes: tuple[str, ...]) -> list[Triple]:
    """The triples of the first of the attributes that some have."""
    listed = list(triples)
    fitting = ([t for t in listed if attribute_of(t.predicate) == a] for a in attributes)
    return next((found for found in fitting if found), [])


def _proposal(triples: Iterable[Triple]) -> Proposal:
    evidence: dict[str, list[Triple]] = {}
    for triple in triples:
        evidence.setdefault(triple.subject, []).append(triple)
    found = tuple(Candidate(subject, SURE, tuple(of_subject)) for subject, of_subject in evidence.items())
    return Proposal(found, tuple(evidence))
