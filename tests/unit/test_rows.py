"""What a line of per_question.jsonl holds comes back, whatever characters values have."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from eval.rows import answer_of, read_rows, row_of
from kb_index.errors import QuestionFileError
from kb_index.types import Triple
from kbqa_agent.types import Answer, Candidate, QAExample

VALUE = "一\u2028二\u0085三\u2029四"
EXAMPLE = QAExample("1", "是什么？", (VALUE,))
ANSWER = Answer(
    "是什么？", VALUE, 0.123456789, None, (Candidate(VALUE, 0.123456789, (Triple(7, "甲", "乙", VALUE, 3),)),), ()
)


def test_values_with_line_separators_come_back(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row_of(EXAMPLE, ANSWER, {}), ensure_ascii=False) + "\n", encoding="utf-8")
    (row,) = read_rows(path, [EXAMPLE])
    back = answer_of(row)
    assert (back.text, back.confidence, back.candidates[0].score) == (VALUE, 0.123457, 0.123457)
    assert back.candidates[0].evidence[0][:4] == (7, "甲", "乙", VALUE)


@pytest.mark.parametrize("text", ["", "[1]\n", "{\n", '{"id": "2"}\n'])
def test_rows_of_something_else_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(QuestionFileError, match=r"rows.jsonl: (is no file of answers|answers other questions)"):
        read_rows(path, [EXAMPLE])
