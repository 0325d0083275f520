"""A line of `per_question.jsonl`, and the answer that it holds: every figure is computed from these lines.

So an evaluation that was interrupted, or is read again, has the same figures as one that ran through.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eval.results import Row
from kb_index.errors import QuestionFileError
from kb_index.types import Triple
from kbqa_agent.answer_forms import answer_to_json
from kbqa_agent.types import Answer, Candidate, QAExample

__all__ = ["answer_of", "read_rows", "row_of"]

UNKNOWN_SUBJECT = -1


def row_of(example: QAExample, answer: Answer, removed: Mapping[str, str | None]) -> dict[str, Any]:
    """The line of one question; `removed` says, where silence is tested, what was hidden from it."""
    return {"id": example.id, "gold": list(example.answers), **removed, **answer_to_json(answer)}


def answer_of(row: Row) -> Answer:
    """The answer of a line, without mentions; its triples do not know the number of their subject."""
    return Answer(
        question=row["question"],
        text=row["answer"],
        confidence=row["confidence"],
        abstained=row["abstained"],
        candidates=tuple(
            Candidate(c["answer"], c["score"], tuple(map(_triple, c["evidence"]))) for c in row["candidates"]
        ),
        mentions=(),
        timings=row["timings_ms"],
        supported=row["supported"],
        values=tuple(row["values"]),
    )


def _triple(said: Mapping[str, Any]) -> Triple:
    return Triple(said["id"], said["subject"], said["predicate"], said["object"], UNKNOWN_SUBJECT)


def read_rows(path: Path, examples: Sequence[QAExample]) -> list[Row]:
    """Read the lines of an evaluation of these examples. Raises: QuestionFileError for others, or a damaged file."""
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]
        ids = [row["id"] for row in rows]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise QuestionFileError(
            f"{path}: is no file of answers ({error}); evaluate again into another folder"
        ) from error
    if ids != [example.id for example in examples]:
        raise QuestionFileError(f"{path}: answers other questions; evaluate again into another folder")
    return rows
