"""The names in an English question: what stands in quotation marks, or words that name an entity or a value."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kb_index.knowledge_base import KnowledgeBase
from kbqa_agent.frame import Span, quoted

__all__ = ["names_in"]

MAX_NAME_WORDS = 10
MAX_NAMES = 4
MAX_WORDS = 60
"""In a longer text only so many words are looked at: looking all its stretches up takes time."""

_WORD = re.compile(r"\S+")
_PUNCTUATION = "?!.,;:'()[]"


def names_in(kb: KnowledgeBase, question: str) -> list[Span]:
    """The names in quotation marks, or else the longest stretches of words that are names and lie in no longer one."""
    if marked := quoted(question):
        return marked[:MAX_NAMES]
    found: list[Span] = []
    for span in _stretches(question):
        inside = any(f.start <= span.start and span.end <= f.end for f in found)
        if not inside and len(found) < MAX_NAMES and _is_name(kb, question[span.start : span.end]):
            found.append(span)
    return found


def _stretches(question: str) -> Iterator[Span]:
    """All stretches of words, the longest first, and those without the marks at their ends."""
    words = list(_WORD.finditer(question))[:MAX_WORDS]
    for size in range(min(MAX_NAME_WORDS, len(words)), 0, -1):
        for i in range(len(words) - size + 1):
            yield from _with_and_without_marks(question, words[i].start(), words[i + size - 1].end())


def _with_and_without_marks(question: str, start: int, end: int) -> Iterator[Span]:
    """A stretch of words as it is, and without the marks at its ends: `Jaws?` may end a question or be a name."""
    text = question[start:end]
    starts = dict.fromkeys((start, end - len(text.lstrip(_PUNCTUATION))))
    ends = dict.fromkeys((end, start + len(text.rstrip(_PUNCTUATION))))
    yield from (Span(first, last) for first in starts for last in ends if first < last)


def _is_name(kb: KnowledgeBase, text: str) -> bool:
    return bool(kb.entities_named(text) or kb.triples_about(text, 1))
