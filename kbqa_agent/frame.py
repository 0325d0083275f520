"""What stands around the matter of a question: polite openings, closing particles, and the quotation marks of names."""

from __future__ import annotations

import re
from typing import NamedTuple

from kb_index.normalize import QUOTES

__all__ = ["CLOSING_MARKS", "MARKS", "OPENING_MARKS", "POLITE", "Span", "bare", "quoted", "without_closing"]

OPENING_MARKS, CLOSING_MARKS = "".join(QUOTES), "".join(QUOTES.values())
MARKS = OPENING_MARKS + CLOSING_MARKS

POLITE = "请问|请教|求问"
"""A pattern of the words that open a question and are part of no name."""

_OPENING = re.compile(rf"(?:{POLITE}|问一下|请?告诉我|我想知道|[你谁]知道|那么|那(?=[,，])|[\s,，.。:：])+")
_CLOSING = re.compile(
    r"(?:[\s?？.。!！,，;；吗呢啊呀吧]|(?<![什怎那这])么|(?<=.)[,，]?(?:对不对|是不是|[对是](?=[吗么])))+$"
)
_QUOTED = {opening: re.compile(f"{opening}([^{opening}{closing}]+){closing}") for opening, closing in QUOTES.items()}


class Span(NamedTuple):
    """A stretch `question[start:end]` of a question."""

    start: int
    end: int


def bare(question: str) -> str:
    """Give a question without its polite opening and its closing particles and marks.

    >>> bare("请问，姚明是叶莉的丈夫，对吗？"), bare("那英唱过什么？")
    ('姚明是叶莉的丈夫', '那英唱过什么')
    """
    return without_closing(_OPENING.sub("", question, count=1) if _OPENING.match(question) else question)


def without_closing(text: str) -> str:
    """Give the text without the particles and marks that close a question."""
    return _CLOSING.sub("", text)


def quoted(question: str) -> list[Span]:
    """List what stands in quotation marks of any kind, by its place.

    >>> [(s.start, s.end) for s in quoted("《坛经》和“心经”")]
    [(1, 3), (6, 8)]
    """
    return sorted(Span(*m.span(1)) for pattern in _QUOTED.values() for m in pattern.finditer(question))
