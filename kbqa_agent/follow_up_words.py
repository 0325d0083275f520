"""The words of follow-up questions, Chinese and English: openings, closings, ellipsis, corrections, going back."""

from __future__ import annotations

import re

__all__ = [
    "ASKING",
    "BACK",
    "CORRECTION",
    "DESCRIBED",
    "EARLIER",
    "FIRST",
    "HAN",
    "LESS",
    "MORE",
    "NOT_BUT",
    "OPENING",
    "PARTICLES",
    "REPLY",
    "SMALL_TALK",
    "STARTS_VERBAL",
    "WHERE",
    "WHO",
]

# fmt: off
OPENING = re.compile(
    r"""(?:(?:那么|那(?=[他她它这那,，])|嗯+|哦+|噢|好的?(?=[,，。\s])|对了|话说|呃+|哎|诶|ok(?=[,，\s])|还有(?=[,，])|另外|顺便(?:问一?下|问问)?
    |麻烦(?:问一?下)?|请问|再问一?下|我?想问一?下|(?:and|so|ok|okay|also|then|well|by\s+the\s+way)\b)[,，。\s]*)+""",
    re.IGNORECASE | re.VERBOSE)
"""What may open any question and says nothing of its matter."""
ASKING = re.compile(
    r"""谁|什么|啥|哪|多少|几(?!何)|吗|怎|何(?=[时地处人年])|多[高大长重远深久宽快]|是不是|有没有|还是
    |\b(?:who|what|where|when|how|which|whose|is|are|did|does|do|was|were)\b""", re.IGNORECASE | re.VERBOSE)
"""A text without any of these leaves out what it asks."""
LESS = re.compile(
    r"""^(?:那么|那|还有|以及|换[成做到]?|改[成问]|要是|如果(?:是|换成)?|至于|再?(?:说说|讲讲|看看)|再来个?|再?查一?下
    |(?:and|what\s+about|how\s+about)\b|[,，\s])+(?:the\s+)?""", re.IGNORECASE | re.VERBOSE)
MORE = re.compile(
    r"""(?:[,，\s]?(?:顺便|也|一起)*(?:要|说说|讲讲|说一?下|讲一?下|查一?下|看看|说)
    |又是?(?:怎么样|怎样|如何|多少|谁|什么|哪里|哪儿|哪|啥)
    |怎么样|怎样|如何|[呢嘞咧呗]|(?<!干)嘛|(?<![什怎那这])么|的话|来着
    |是(?=[?？]?$)|\s(?:too|as\s+well)|[\s?？。.!！~～])+$""", re.VERBOSE)
"""What begins and ends a text that leaves something out: 那…呢, 换成…, what about …"""
_NO = r"""(?:(?:哦|噢|啊|诶|唉|呃)?(?:(?:不是的?)+|(?:不对)+|口误|不好意思|问错(?:人|了)+|(?:错了)+
    |你?[弄搞听理解]+错了?|说错了?|抱歉|等等|等下|不|错|not\s+that(?:\s+one)?)(?:这个|那个|他|她|它|啊|呀|吧)?
    (?:[,，。.!！\s]+|(?=我|问的|是[问说]|应该是))
    |(?:no|nope|wrong|sorry|oops|wait)(?:[,，.!]+\s*|\s+(?=i\b|no\b)))"""
_I_MEAN = r"""我?(?:想|要|是想|其实)?(?:问|说|指|要|想知道|想查|讲)的(?:其实|应该)?是
    |我是?(?:想|在)?(?:说|问|指|要)|应该?是|是(?!不是|谁|哪|什)
    |当?然?是?问的是|我问的(?!是)|我?要(?:的是|知道)|(?:当然)?是[问说]|当然是|i\s+(?:meant|mean|asked(?:\s+about)?|was\s+asking\s+(?:about|for)|am\s+asking\s+about)|i'm\s+asking(?:\s+about)?"""
CORRECTION = re.compile(
    rf"""(?:(?:{_NO})+(?:{_I_MEAN})?|我(?:想|要|是想|其实)?(?:问|说|指|要|讲)的(?:其实)?是|我?是(?:说|问|指)|当然是|i\s+mean[t]?\b)
    [,，:：\s]*(?P<rest>.+)""", re.IGNORECASE | re.DOTALL | re.VERBOSE)
REPLY = re.compile(rf"(?:{_I_MEAN})[,，:：\s]*(?P<rest>.+)", re.IGNORECASE | re.DOTALL | re.VERBOSE)
NOT_BUT = re.compile(
    r"""不是.{1,20}?(?:[,，\s]\s*(?:而|我?(?:问|说|要|指)的?)?是?|而是)(?P<rest>.+)
    |(?P<first>.+?)[,，]\s*不是.{1,20}""", re.DOTALL | re.VERBOSE)
DESCRIBED = re.compile(
    r"(?P<which>.{2,}?)的?[那这](?:[个位本部首家座所款种条支版]|里|边)[,，]?(?:的|是)?(?P<rest>.*)", re.DOTALL)
"""印度那个有多少人: a description of who is meant, and what is asked."""
BACK = re.compile(
    r"""(?:(?:让?我们|咱们?|还是)?(?:再|话)?(?:回到|说回|聊回|问回|回过?头来?再?(?:说|看|问)|话说回来
    |(?:接着|继续|重新)(?:说|问)|说到)来?|^再(?:说|问|聊)|(?:(?:go(?:ing)?|coming)\s+)?back\s+to|^about(?=.+\bagain\b))[,，\s]*""",
    re.IGNORECASE | re.VERBOSE)
EARLIER = re.compile(
    r"""(?:刚才|刚刚|前面|之前|先前|早先|开头|最?开始|一开始|最初|最早|上上?一?个|前一?个)
    (?:我?们?(?:说|提到|提|问|聊|讲|谈)(?:到|起|过)?)?的?
    (?:[那这]?[个位本部首家座所款种条只]?[\u4e00-\u9fff]{0,3}?)(?=[的,，是在有谁多什哪呢]|$)""", re.VERBOSE)
FIRST = re.compile(r"最?开始|一开始|最初|最早|开头")
SMALL_TALK = re.compile(
    r"""(?:好的?|嗯+|哦+|行|谢谢(?:你|您|啦|了)?|多谢|谢了|谢啦|知道了|明白了?|懂了|再见|拜拜|退出|结束|你好|您好|都不是|都不对|不知道
    |thanks?(?:\s+you)?|thank\s+you|ok(?:ay)?|great|bye|exit|quit|hi|hello|none(?:\s+of\s+them)?)[\s!！。.~～,，]*""",
    re.IGNORECASE | re.VERBOSE)
"""What is said without asking anything."""
PARTICLES = re.compile(r"[呀啊呢吧嘞哦嘛咧]+(?=[?？。.!！~～\s]*$)")
HAN = re.compile(r"[\u3400-\u9fff]")
WHO = re.compile(r"谁|什么人|哪位|\bwho\b", re.IGNORECASE)
WHERE = re.compile(r"哪(?!个?[皇人位])|什么地方|\bwhere\b", re.IGNORECASE)
STARTS_VERBAL = re.compile(r"[是在有由叫被属多几哪谁为何怎什长位出生死去毕用]")
# fmt: on
