"""The answers of all systems as one compact JSON text, for the script of the page to filter and show.

Triples are told once, however many questions and systems rest on them, and of each answer only the first candidates.
Long values are cut: `per_question.jsonl` has them whole.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from eval.errors import GROUPS, is_right
from eval.results import Row, SystemResult
from kbqa_agent.legible import legible
from kbqa_agent.types import QAExample

__all__ = ["page_data", "script_json"]

RIGHT, WRONG, SILENT = 0, 1, 2
CANDIDATES = 3
EVIDENCE = 4
"""So many triples of the candidate that was told are kept, which can be a path of facts; one of the others."""
MOST_CHARS = 400


class _Pool:
    """Values that are told once and pointed to by number."""

    def __init__(self) -> None:
        self.numbers: dict[Any, int] = {}

    def number(self, value: Any) -> int:
        return self.numbers.setdefault(value, len(self.numbers))


def page_data(
    results: Sequence[SystemResult], examples: Sequence[QAExample], groups: Sequence[Mapping[str, str]]
) -> dict[str, Any]:
    """Collect what the script reads; `groups` are the failures by id (`eval.errors.error_groups`) of each system.

    `questions` are [id, question, gold answers, attribute (-1: none), gold triple (-1: none)]. `rows` has a list for
    each system, in it for each question null or [answer (the number of a candidate, a text, or null), confidence,
    verdict (0 right, 1 wrong, 2 silent), group or "", reason of silence or "", candidates, what was hidden from it in a
    test of silence or ""], and a candidate is [answer (0: the object of its first triple), probability, triples].
    """
    triples, attributes = _Pool(), _Pool()
    questions: list[list[Any]] = []
    for e in examples:
        attribute = attributes.number(_cut(e.triple[1])) if e.triple else -1
        gold = triples.number(tuple(map(_cut, e.triple))) if e.triple else -1
        questions.append([e.id, _cut(e.question), list(map(_cut, e.answers)), attribute, gold])
    rows = []
    for result, group in zip(results, groups, strict=True):
        by_id = {row["id"]: row for row in result.rows}
        rows.append([_row(e, by_id[e.id], group, triples) if e.id in by_id else None for e in examples])
    return {
        "systems": [result.name for result in results],
        "groups": dict(GROUPS),
        "attributes": list(attributes.numbers),
        "triples": list(triples.numbers),
        "questions": questions,
        "rows": rows,
    }


def script_json(value: Any) -> str:
    r"""Write JSON that cannot end the `<script>` that it stands in, nor begin a comment there.

    >>> script_json("</script><!--")
    '"\\u003c/script>\\u003c!--"'
    """
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def _row(example: QAExample, row: Row, groups: Mapping[str, str], triples: _Pool) -> list[Any]:
    told = next((i for i, c in enumerate(row["candidates"]) if c["answer"] == row["answer"]), None)
    kept = list(range(min(CANDIDATES, len(row["candidates"]))))
    if told is not None and told not in kept:
        kept[-1] = told
    candidates = [_candidate(row["candidates"][i], EVIDENCE if i == told else 1, triples) for i in kept]
    answer: int | str | None = None if row["answer"] is None else _cut(row["answer"])
    if told is not None:
        answer = kept.index(told)
    verdict = RIGHT if is_right(row) else SILENT if row["answer"] is None else WRONG
    return [
        answer,
        round(float(row["confidence"]), 4),
        verdict,
        groups.get(example.id, ""),
        row["abstained"] or "",
        candidates,
        row.get("removed") or "",
    ]


def _candidate(candidate: Mapping[str, Any], most: int, triples: _Pool) -> list[Any]:
    said = [tuple(_cut(t[key]) for key in ("subject", "predicate", "object")) for t in candidate["evidence"][:most]]
    answer = _cut(candidate["answer"])
    known = bool(said) and said[0][2] == answer
    return [0 if known else answer, round(float(candidate["score"]), 4), [triples.number(t) for t in said]]


def _cut(text: str) -> str:
    text = legible(text)
    return text if len(text) <= MOST_CHARS else text[: MOST_CHARS - 1] + "…"
