"""Question -> the stretches in which its wording puts a name, whether or not any entity is called so.

Chinese questions mostly begin with the name, after words such as 请问 or 你知道, and go on with 的, 是, 有 or another
word that seldom is inside a name; English ones write it in capitals. This module knows such words and quotation marks;
it knows neither names nor attributes.
"""

from __future__ import annotations

import re

from kbqa_agent.frame import POLITE, Span, quoted

__all__ = ["Span", "name_spans"]

MAX_ENDS = 4
"""Of the words that may end a name, so many are tried: 中国的首都的面积 has it before the first or the second 的."""

# fmt: off
_LEAD_IN = re.compile(
    rf"""(?:[\s,，.。:：]
    |{POLITE}|有没有(?:认识|玩过|去过|人?知道)|那么|告诉|一下|简单|详细|问|我(?!们)
    |(?:请|麻烦你?|可以|能|能够|能不能)[你您]?(?:告诉|回答|说出|写出|说说|介绍|解释|描述)
    |(?:你们?|您|大家|各位|有?谁|还有[人谁]|有人|有没有人)?(?:能够?|可以|可否)?(?:帮我|帮忙|给我)?都?
        (?:知道|知不知道|知到|了解|清楚|记得|说出|写出|告诉|解释|介绍)
    |我?(?:很|非常|特别|真的)?(?:想要?|好奇)(?:请问|请教|问问|问|知道|了解)?
    |(?:谁|什么|哪里|哪些|哪个|怎么|怎样|如何)(?:是|叫|解释)|什么叫做?
    )+""", re.VERBOSE)

_LINK = re.compile(r"关于|有关|[与和给在对把由用做]")
"""What may stand between the opening words and the name, or be the beginning of the name."""

_AFTER = re.compile(
    r"""(?<!附)属|[的是有在这啥适用都现使最由怎需能出啊吗呢呀吧应何获又被还参多几谁哪为要与和对每距从?？!！。，,;；]
    |什么|一共|总共|共有|主要|可以|如何|支持|位于|来自|起源|相关|处于|隶属|目前|喜欢""", re.VERBOSE)
_AFTER_VERB = re.compile(r"[^谁哪么何]*[谁哪么何].*了(?!解)(?=[^了]+$)", re.DOTALL)
_END = re.compile(r"[\s?？!！。，,;；吗呢呀啊吧]*$")
_CHARACTER = re.compile(
    r"(?![名文数汉打写这])[\u3400-\u9fff\U00020000-\U0003ffff](?=这?个?字(?:[的是有怎用如应一在共总]|什么))"
)
_ASKS = re.compile(r"什么|多少|哪|谁|怎")
_FUNCTION_WORDS = re.compile(r"[的是有在都还又要请了没会到能可以吗呢啊呀吧]+")
_CHINESE = re.compile(r"[\u3400-\u9fff]")
_CAPITALS = re.compile(
    r"\b(?!(?:Who|What|When|Where|Which|Whose|Whom|How|Is|Are|Was|Were|Did|Do|Does|In|The)\b)"
    r"[A-Z0-9][\w'.-]*(?:\s+(?:(?:of|the|and|in|on|for|to|a|an|&)\s+)*[A-Z0-9][\w'.-]*)*"
)
# fmt: on


def name_spans(question: str) -> list[Span]:
    """List where the name of a question's entity may stand, likeliest first; none is empty, none is listed twice.

    >>> name_spans("你知道慈氏塔是哪年重修的吗？"), name_spans("Who directed Blade Runer?")
    ([Span(start=3, end=6), Span(start=3, end=7)], [Span(start=13, end=24)])
    """
    if not _CHINESE.search(question):
        spans = [Span(*m.span()) for m in _CAPITALS.finditer(question)]
    else:
        spans = [span for start in _starts(question) for span in _from(question, start)]
        spans += [Span(*m.span()) for m in _CHARACTER.finditer(question)]
    spans = [span for span in spans if not _names_nothing(question, span)]
    return list(dict.fromkeys(quoted(question) + spans))


def _names_nothing(question: str, span: Span) -> bool:
    """Whether a span asks, or holds function words alone; 是 is a name in 是的部首 and 是字."""
    if _FUNCTION_WORDS.fullmatch(question, *span):
        return question[span.end : span.end + 1] not in ("的", "字")
    return _ASKS.search(question, *span) is not None


def _starts(question: str) -> list[int]:
    lead_in = _LEAD_IN.match(question)
    starts = [lead_in.end() if lead_in else 0]
    if link := _LINK.match(question, starts[0]):
        starts.append(link.end())
    if verb := _AFTER_VERB.match(question):
        starts.append(verb.end())
    return starts


def _from(question: str, start: int) -> list[Span]:
    ends = [m.start() for m in _AFTER.finditer(question, start + 1)][:MAX_ENDS]
    last = _END.search(question, start)
    if last and start < last.start() and len(ends) < MAX_ENDS:
        ends.append(last.start())
    return [Span(start, end) for end in dict.fromkeys(ends)]
