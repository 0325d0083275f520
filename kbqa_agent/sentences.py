"""An answer in one sentence: what is said and why, or why nothing is, and what comes next.

Texts are Chinese for a Chinese question, else English.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from kb_index.types import Triple
from kbqa_agent.answer_forms import WORTH_SHOWING
from kbqa_agent.legible import percent
from kbqa_agent.silence import choices_of
from kbqa_agent.types import Abstention, Answer, Candidate

__all__ = ["Words", "asks_in_chinese", "in_language_of", "sentence"]

SHOWN_TRIPLES, SHOWN_VALUES, SHOWN_CHARS = 3, 5, 60
_CHINESE = re.compile("[\u3400-\u9fff]")
_ENGLISH = re.compile(
    r"\W*(?:what|who|whom|whose|which|when|where|why|how|is|are|was|were|do|does|did|can|name|list|tell|in|on|at)\s",
    re.I,
)


class Words(NamedTuple):
    """The same words in two languages."""

    chinese: str
    english: str


_SILENCE: dict[Abstention, Words] = {
    "no_entity": Words("知识库里没有问题所说的实体", "nothing in the question is known to the knowledge base"),
    "no_attribute": Words("知识库里没有所问的内容", "the knowledge base does not say"),
    "ambiguous": Words("几个同名的实体都符合", "several entities of that name fit"),
    "low_confidence": Words("没有足够可信的答案", "nothing is likely enough to be said"),
}
_UNSAID = Words("没有回答：{}。", "No answer: {}.")
_IN_ALL = Words("等 {} 个", " and others, {} in all")


def in_language_of(question: str, words: Words) -> str:
    """The words in the language of a question."""
    return words.chinese if asks_in_chinese(question) else words.english


def asks_in_chinese(question: str) -> bool:
    """Whether a question has Chinese characters, and does not begin in English.

    >>> asks_in_chinese("法国的首都？"), asks_in_chinese("what is 法国")
    (True, False)
    """
    return bool(_CHINESE.search(question)) and not _ENGLISH.match(question)


def sentence(answer: Answer, first: Candidate | None, rival: Candidate | None) -> str:
    """Tell an answer: `first` is the candidate that is told, or is nearest where none is, `rival` the one after it."""
    if answer.abstained == "ambiguous":
        return _ambiguous(answer)
    parts = [_said(answer, first)]
    if rival is not None and rival.score >= WORTH_SHOWING:
        parts.append(_next(answer, rival))
    return in_language_of(answer.question, Words("", " ")).join(parts)


def _said(answer: Answer, first: Candidate | None) -> str:
    if answer.abstained is not None:
        return _unsaid(answer, answer.abstained, first)
    if first is not None and not first.evidence:
        words = Words(
            "“{}”（把握 {}）是人们的更正，知识库里没有依据。",
            "“{}” ({} sure) is a correction that people gave; no triple backs it.",
        )
        return in_language_of(answer.question, words).format(_cut(first.answer), percent(answer.confidence))
    if not answer.supported or first is None:
        words = Words("“{}”是生成模型自己写的，知识库里没有依据。", "“{}” is the generator's own; no triple backs it.")
        return in_language_of(answer.question, words).format(_cut(answer.text or ""))
    words = Words(
        "答案是{}（把握 {}），因为知识库里有：{}。",
        "The answer is {} ({} sure), since the knowledge base says: {}.",
    )
    return in_language_of(answer.question, words).format(_values(answer), percent(answer.confidence), _facts(first))


def _unsaid(answer: Answer, reason: Abstention, first: Candidate | None) -> str:
    words = in_language_of(answer.question, _UNSAID).format(in_language_of(answer.question, _SILENCE[reason]))
    if first is None or first.score < WORTH_SHOWING:
        return words
    nearest = Words("最接近的是（{}）：{}。", " The nearest is ({}): {}.")
    return words + in_language_of(answer.question, nearest).format(percent(first.score), _facts(first))


def _ambiguous(answer: Answer) -> str:
    choices = choices_of(answer)
    words = in_language_of(answer.question, _SILENCE["ambiguous"])
    if not choices:
        return in_language_of(answer.question, _UNSAID).format(words)
    shown = "; ".join(_fact(choice.triple) for choice in choices[:SHOWN_TRIPLES])
    more = in_language_of(answer.question, _IN_ALL).format(len(choices))
    return in_language_of(answer.question, Words("没有回答：{}：{}{}。", "No answer: {}: {}{}.")).format(
        words, shown, more if len(choices) > SHOWN_TRIPLES else ""
    )


def _next(answer: Answer, second: Candidate) -> str:
    words = Words("其次是“{}”（{}）：{}。", "Next comes “{}” ({}): {}.")
    if not second.evidence:
        words = Words("其次是人们的更正“{}”（{}）。", "Next comes “{}” ({}), a correction that people gave.")
    return in_language_of(answer.question, words).format(_cut(second.answer), percent(second.score), _facts(second))


def _values(answer: Answer) -> str:
    values = answer.values or ((answer.text,) if answer.text else ())
    shown = in_language_of(answer.question, Words("", ", ")).join(f"“{_cut(value)}”" for value in values[:SHOWN_VALUES])
    if len(values) <= SHOWN_VALUES:
        return shown
    return shown + in_language_of(answer.question, _IN_ALL).format(len(values))


def _facts(candidate: Candidate) -> str:
    return "; ".join(map(_fact, candidate.evidence[:SHOWN_TRIPLES]))


def _fact(triple: Triple) -> str:
    return f"{triple.subject} | {triple.predicate} | {_cut(triple.object)}"


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN_CHARS else text[:SHOWN_CHARS] + "…"
