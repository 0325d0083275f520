"""Words of Chinese questions -> the attributes that say the same in a knowledge base.

Attributes that mean the same stand together; those after a bar are meant only where there are none of those before it.
"""

from __future__ import annotations

from kbqa_agent.features import attribute_of

__all__ = ["MEMBER", "PLACE", "VERB", "WORK", "attributes_of", "is_asked_by_verb"]

_VERBS = {
    "写": "作者 原作者 著者 编著 | 编剧", "著": "作者 著者 编著", "撰写": "作者 著者", "创作": "作者 原作者 创作者",
    "编写": "作者 编著 主编", "主编": "主编 编者", "翻译": "译者 翻译", "编剧": "编剧",
    "导演": "导演", "执导": "导演", "拍": "导演", "监制": "监制", "制作": "制作人 制作公司",
    "演": "主演 演员 领衔主演", "主演": "主演 领衔主演", "出演": "主演 演员", "参演": "主演 演员",
    "唱": "歌手 演唱者 原唱 演唱 歌曲原唱", "演唱": "歌手 演唱者 原唱 演唱 歌曲原唱", "配音": "配音 主要配音",
    "作曲": "作曲 作曲者 谱曲", "作词": "作词 作词者 填词", "填词": "填词 作词 作词者", "画": "作者 画家",
    "雕": "作者 雕塑家", "出版": "出版社 出版者", "发行": "发行公司 发行商 | 唱片公司",
    "开发": "开发商 开发者 研发商 开发公司", "设计": "设计师 设计者", "发明": "发明者 发明人", "发现": "发现者 发现人",
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
"""What somebody does somewhere -> the attributes of the person that name the place."""

_WORKS = {
    "作品": "作者 原作者 导演 歌手 演唱者 原唱 作曲 设计师", "书": "作者 著者 编著", "书籍": "作者 著者 编著",
    "小说": "作者 原作者 著者", "著作": "作者 著者", "诗": "作者", "电影": "导演 主演", "影片": "导演 主演",
    "电视剧": "主演 导演", "歌": "歌手 演唱者 原唱", "歌曲": "歌手 演唱者 原唱", "专辑": "专辑歌手 歌手 | 演唱者 原唱",
}  # fmt: skip
"""What somebody makes -> the work's attributes that name them."""

_MEMBERS = {
    "国家": "所属洲 所在洲 大洲 洲",
    "城市": "所属国家 所属省份 所属州 所在国家 所在省份",
}
"""What lies in a larger region -> its attributes that name that region."""

_ATTRIBUTES = _VERBS | _PLACES | _WORKS | _MEMBERS

_BY_VERB = frozenset(" ".join(_VERBS.values()).split())

VERB, PLACE, WORK, MEMBER = (
    "|".join(sorted(words, key=len, reverse=True)) for words in (_VERBS, _PLACES, _WORKS, _MEMBERS)
)
"""Patterns of the words, the longer ones first."""


def attributes_of(asked: str) -> list[tuple[str, ...]]:
    """List the normalised attributes that a word may ask for, by groups, itself first; a later group is second choice.

    >>> attributes_of("写"), attributes_of("母 校")
    ([('写', '作者', '原作者', '著者', '编著'), ('编剧',)], [('母校',)])
    """
    first, *others = _ATTRIBUTES.get(asked, "").split("|")
    return [(attribute_of(asked), *first.split()), *(tuple(group.split()) for group in others)]


def is_asked_by_verb(attribute: str) -> bool:
    """Whether there is a verb that asks for a normalised attribute, so that another verb does not ask for it."""
    return attribute in _BY_VERB
