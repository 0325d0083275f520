"""Chinese verbs of questions -> the attributes that say the same in a knowledge base, the likeliest first."""

from __future__ import annotations

from kbqa_agent.features import attribute_of

__all__ = ["PLACE", "VERB", "attributes_of"]

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
"""What somebody does somewhere -> the attributes of the person that name the place."""

VERB, PLACE = ("|".join(sorted(words, key=len, reverse=True)) for words in (_VERBS, _PLACES))
"""Patterns of the verbs, the longer ones first."""


def attributes_of(asked: str) -> tuple[str, ...]:
    """List the normalised attributes that a word of a question may ask for: itself, and those of the verb that it is.

    >>> attributes_of("毕业"), attributes_of("母 校")
    (('毕业', '毕业院校', '毕业学校', '母校'), ('母校',))
    """
    return (attribute_of(asked), *(_VERBS.get(asked) or _PLACES.get(asked) or "").split())
