"""The words of a follow-up question that point back: 他, 这本书, 那里, 该公司, 前面那个人, its, that film.

What they point at is not decided here: `find` gives where they stand and what they say of it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

from kbqa_agent.frame import Span, quoted

__all__ = ["Anaphor", "find", "role_at_start", "substituted"]

Kind = Literal["person", "thing", "place", "any"]

_PERSONS = (
    "人物|人|男人|女人|先生|女士|作者|作家|诗人|导演|编剧|演员|主演|歌手|明星|艺人|画家|"
    "书法家|科学家|学者|教授|专家|医生|运动员|球员|教练|皇帝|君主|国王|王后|总统|主席|总理|"
    "将军|将领|校长|院长|市长|省长|老师|师父|老板|创始人|创办人|发明者|发明人|发现者|设计师|"
    "建筑师|主持人|译者|翻译|主编|编者|原作者|作曲家|作曲者|词作者|妻子|丈夫|老婆|老公|太太|"
    "夫人|父亲|母亲|爸爸|妈妈|儿子|女儿|哥哥|弟弟|姐姐|妹妹|舅舅|叔叔|配偶|角色|家伙"
)
_PLACES = (
    "国家|国|城市|城|市|省份|省|县城|县|区|镇|乡|村子|村庄|村|地方|地区|地|岛|山|河|江|湖|海|景点|景区|公园|首都|省会"
)
_THINGS = (
    "书|书籍|著作|作品|小说|诗|诗集|词|文章|教材|杂志|期刊|报纸|漫画|动漫|动画|电影|片子|"
    "影片|片|电视剧|剧|戏|节目|歌|歌曲|曲子|专辑|唱片|游戏|软件|画|雕塑|歌剧|寺庙|寺|庙|"
    "塔|桥|车站|机场|大楼|建筑|博物馆|图书馆|医院|学校|大学|高校|学院|中学|小学|校|公司|"
    "企业|厂|工厂|集团|银行|机构|组织|单位|出版社|报社|电视台|乐队|组合|球队|俱乐部|队|"
    "品牌|牌子|车|车型|手机|产品|药品|药|药物|疾病|病|植物|花|树|草|动物|鸟|鱼|昆虫|"
    "物种|菜|食品|食物|水果|小吃|元素|化学物质|物质|矿物|星球|行星|星|朝代|时期|时代|战争|"
    "战役|事件|比赛|奖项|奖|节日|语言|文字|字|成语|词语|学科|专业|课程|理论|定理|概念|"
    "武器|飞机|船|舰|民族|宗教"
)
_NOUN = "|".join(sorted("|".join((_PERSONS, _PLACES, _THINGS)).split("|"), key=len, reverse=True))
_KINDS: dict[str, Kind] = {
    **dict.fromkeys(_PERSONS.split("|"), "person"),
    **dict.fromkeys(_PLACES.split("|"), "place"),
    **dict.fromkeys(_THINGS.split("|"), "thing"),
}
_KINDS |= dict.fromkeys(("man", "woman", "person", "author", "writer", "director", "actor", "singer"), "person")
_KINDS |= dict.fromkeys(("country", "city", "place", "town", "island", "state", "river", "region"), "place")
_ROLE = re.compile("|".join(sorted(_PERSONS.split("|"), key=len, reverse=True)))
LONGEST_SAID = 4
_MEASURE = "(?:名(?!字)|[个位本部首家座所款种条支届颗艘架只道项场门幅件间篇套台辆门株棵朵枚尊册集期])"
_POINTING = r"(?:这|那|该|此|上述)"
_CHINESE = re.compile(
    rf"""(?P<person>(?<![其吉耳])(?:他|她)(?:们(?!俩)|(?!加禄|人|们|俩|汀))(?:本人|自己)?)
    |(?P<thing>(?<![其吉])(?:它|牠|祂)们?|[这那](?=是)|(?:^|(?<=[,，]))其(?![他它她实中次余]))
    |(?P<place>[那这](?:里|儿|边)|当地|该地|此地)
    |(?P<noun>(?:这|该|此|上述)(?P<n1>{_NOUN})(?!呢|[口均])
        |那(?P<n2>人|书|电影|片子|游戏|公司|城市|国家|地方)(?!呢|[口均称类名法籍])
        |(?<![日基版资根剧])本(?P<n3>书|片|剧|公司|校|歌)
        |{_POINTING}一?{_MEASURE}(?!样|时[候刻间期])(?P<n4>(?:(?![的是在有])[\u4e00-\u9fff]){{1,3}}?[家员手师者星帝]|{_NOUN})?
        |(?P<bare>这(?![么样些时])|该))
    """,
    re.VERBOSE,
)
_ENGLISH = re.compile(
    r"""\b(?:
    (?P<person>he|she|him|his|her|hers)
    |(?P<thing>it|its|they|their|them|this|that(?=\s*(?:\?|$)))
    |(?P<place>there(?=\s*(?:\?|$)))
    |(?P<noun>(?:this|that|the\s+same)\s+(?P<n1>[a-z]+))
    )\b(?P<own>'s)?""",
    re.VERBOSE | re.IGNORECASE,
)
_POSSESSIVE = {"his", "its", "their", "her"}
_HAN = re.compile(r"[\u3400-\u9fff]")


class Anaphor(NamedTuple):
    """A stretch `question[start:end]` that points back at a person, a place, a thing or any of them.

    `word` is the pronoun or the noun, "" for 这个 alone.
    """

    start: int
    end: int
    kind: Kind
    word: str
    is_possessive: bool = False


def find(question: str, said: Sequence[str] = ()) -> list[Anaphor]:
    """List what points back, outside quotation marks, in order.

    A word that was `said` may follow: after an answer to 时区, 这个时区 points back as a whole.

    >>> find("这位作者的妻子是谁？"), find("《他是龙》是谁导演的？")
    ([Anaphor(start=0, end=4, kind='person', word='作者', is_possessive=False)], [])
    """
    names = quoted(question)
    pattern = _CHINESE if _HAN.search(question) else _ENGLISH
    found = (_anaphor(question, m, said) for m in pattern.finditer(question) if not _is_inside(m.span(), names))
    return [a for a in found if a is not None and a.end > a.start]


def substituted(question: str, anaphora: Sequence[Anaphor], name: str) -> str:
    """Put a name where the anaphora stand.

    >>> substituted("When was its author born?", find("When was its author born?"), "Emma")
    "When was Emma's author born?"
    """
    for anaphor in sorted(anaphora, reverse=True):
        text = f"{name}'s" if anaphor.is_possessive else name
        question = question[: anaphor.start] + text + question[anaphor.end :]
    return question


def role_at_start(question: str) -> str:
    """The word for a person's part that a question begins with, "" for none.

    >>> role_at_start("导演本人哪一年出生"), role_at_start("首都是哪里")
    ('导演', '')
    """
    m = _ROLE.match(question)
    return m[0] if m else ""


def _anaphor(question: str, m: re.Match[str], said: Sequence[str]) -> Anaphor | None:
    kind: Kind
    if m["noun"]:
        word = next((m[g] for g in ("n1", "n2", "n3", "n4") if m.groupdict().get(g)), "")
        word = word or _said_after(question[m.end() :], said)
        if not word and m.groupdict().get("bare"):
            return None
        end = max(m.end(), m.start() + m[0].find(word) + len(word)) if word in m[0] else m.end() + len(word)
        kind = "person" if word[-1:] in "家员手师者星帝" else "any"
        return Anaphor(m.start(), end, _KINDS.get(word.lower(), kind), word.lower(), bool(m.groupdict().get("own")))
    kind = next(k for k in ("person", "thing", "place") if m[k])
    word = m[kind].lower()
    after = question[m.end() :].lstrip()
    is_possessive = word in _POSSESSIVE and (word != "her" or after[:1].isalpha())
    return Anaphor(*m.span(), kind, word, is_possessive or bool(m.groupdict().get("own")))


def _said_after(rest: str, said: Sequence[str]) -> str:
    """The longest beginning of the rest of a question that stands in what was said, "" if it is no word."""
    heads = (rest[:n] for n in range(LONGEST_SAID, 1, -1))
    return next((head for head in heads if any(head in text for text in said)), "")


def _is_inside(span: tuple[int, int], names: Sequence[Span]) -> bool:
    return any(name.start <= span[0] and span[1] <= name.end for name in names)
