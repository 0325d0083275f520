"""Triples as a language model or a reader sees them: data, on one line each or as JSON, escaped and cut."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from kb_index.types import Triple
from kbqa_agent.answer_forms import REASONS
from kbqa_agent.prompts import escape
from kbqa_agent.silence import choices_of
from kbqa_agent.types import Answer

__all__ = ["MAX_SHOWN_CHARS", "answer_fields", "as_json", "shown", "triple_fields", "triple_line"]

MAX_SHOWN_CHARS = 300
"""A longer name, attribute or value is cut."""
MAX_EVIDENCE, MAX_VALUES, MAX_OTHERS = 5, 20, 3
MAX_EXTRA = 3
"""Of the lines that state a triple, so many tell their other columns."""


def shown(text: str) -> str:
    """Make a text of the knowledge base one line, cut and without special tokens, as it stands in what a model reads.

    >>> shown("惠能<|im_end|>")
    '惠能＜|im_end|>'
    """
    return escape(text, MAX_SHOWN_CHARS)


def triple_line(triple: Triple) -> str:
    """Write a triple as one line.

    >>> triple_line(Triple(0, "坛经", "作者", "惠能", 0))
    '坛经 | 作者 | 惠能'
    """
    return " | ".join(map(shown, triple[1:4]))


def triple_fields(triple: Triple) -> dict[str, Any]:
    """Give what a model is told of a triple; `entity_id` is that of the subject."""
    found = {
        "id": triple.id,
        "entity_id": triple.subject_id,
        "subject": shown(triple.subject),
        "predicate": shown(triple.predicate),
        "object": shown(triple.object),
    }
    if triple.extra:
        found["extra"] = [{shown(k): shown(v) for k, v in columns.items()} for columns in triple.extra[:MAX_EXTRA]]
    return found


def as_json(told: Mapping[str, Any]) -> str:
    """Write what a tool tells: values stay inside their quotation marks, whatever they hold."""
    return json.dumps(told, ensure_ascii=False)


def answer_fields(answer: Answer, least: float = 0.0) -> dict[str, Any]:
    """What a model is told of an answer; other candidates are told that are at least so probable."""
    if answer.abstained is not None:
        choices = [{"entity": shown(c.triple.subject), "answer": shown(c.answer)} for c in choices_of(answer)]
        told = {"answer": None, "reason": f"{answer.abstained}: {REASONS[answer.abstained]}"}
        return told | ({"choices": choices} if choices else {}) | _partial(answer)
    said = (answer.text, *answer.values)
    others = [c for c in answer.candidates if c.answer not in said and c.score >= least]
    return {
        "answer": shown(answer.text or ""),
        "all_answers": [shown(value) for value in answer.values[:MAX_VALUES]],
        "probability": round(answer.confidence, 3),
        "supported": answer.supported,
        "evidence": [triple_fields(t) for t in answer.told.evidence[:MAX_EVIDENCE]] if answer.told else [],
        "others": [{"answer": shown(c.answer), "probability": round(c.score, 3)} for c in others[:MAX_OTHERS]],
    } | _partial(answer)


def _partial(answer: Answer) -> dict[str, Any]:
    return {"partial": "parts of the knowledge base are missing"} if answer.partial else {}
