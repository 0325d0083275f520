"""Twelve questions worked out by hand in docs/metrics.md: the tables are read from there, and the figures computed."""

from __future__ import annotations

import re
from math import isnan, nan
from pathlib import Path

import numpy as np
import pytest

from eval.corpus import told_bleu_row
from eval.figures import metric_figures
from eval.metrics import METRICS, REPORTED, TOLD, question_scores
from eval.official import official_answers, write_predictions
from eval.predictions import score_predictions
from kb_index.types import Triple
from kbqa_agent.qa_data import write_nlpcc
from kbqa_agent.types import Answer, Candidate, QAExample

DOCUMENT = Path(__file__).parents[2] / "docs" / "metrics.md"
NOTHING = "–"


def table(heading: str) -> list[list[str]]:
    """The cells of the table whose header begins so, without header and rule."""
    lines = DOCUMENT.read_text(encoding="utf-8").splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(heading))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def values(cell: str) -> list[str]:
    return [] if cell == NOTHING else [value.replace("␣", " ") for value in cell.split("; ")]


def candidate(text: str) -> Candidate:
    match = re.fullmatch(r"(.+) (\.\d+)(?: \((\d+)\))?", text)
    assert match is not None
    answer, score, count = match[1], float(match[2]), int(match[3] or 1)
    return Candidate(answer, score, tuple(Triple(i, f"实体{i}", "属性", answer, i) for i in range(count)))


QUESTIONS = table("| id | case |")
EXAMPLES = [QAExample(row[0], f"问题{row[0]}？", tuple(values(row[2]))) for row in QUESTIONS]
ANSWERS = [
    Answer("？", next(iter(values(row[4])), None), 0.5, None, tuple(map(candidate, values(row[3]))), ())
    for row in QUESTIONS
]
FIGURES = {row[0].strip("`"): row[1:] for row in table("| metric | 1 | 2 |")}
SCORES = np.array([question_scores(e, a) for e, a in zip(EXAMPLES, ANSWERS, strict=True)])
BLEU = np.array([told_bleu_row(a.text, e.answers) for e, a in zip(EXAMPLES, ANSWERS, strict=True)])


def number(cell: str) -> float:
    return nan if cell == NOTHING else float(cell)


def test_the_tables_are_whole() -> None:
    assert [row[0] for row in QUESTIONS] == [str(n) for n in range(1, 13)]
    assert tuple(FIGURES) == REPORTED
    assert all(len(row) == 13 for row in FIGURES.values())


@pytest.mark.parametrize("metric", METRICS)
def test_every_question(metric: str) -> None:
    expected = [number(cell) for cell in FIGURES[metric][:-1]]
    assert SCORES[:, METRICS.index(metric)].tolist() == pytest.approx(expected, abs=5e-5, nan_ok=True)


def test_the_means_and_the_corpus() -> None:
    figures, intervals = metric_figures(SCORES, BLEU, 200, 0)
    assert figures == pytest.approx({name: number(row[-1]) for name, row in FIGURES.items()}, abs=5e-5)
    assert all(low < figures[name] < high for name, (low, high) in intervals.items())


def test_what_is_handed_in() -> None:
    assert [list(official_answers(a)) for a in ANSWERS] == [values(row[5]) for row in QUESTIONS]


def test_a_file_of_what_is_handed_in_scores_the_same(tmp_path: Path) -> None:
    write_nlpcc(EXAMPLES, tmp_path / "gold.nlpcc")
    given = {row[0]: values(row[5]) for row in QUESTIONS}
    write_predictions([e for e in EXAMPLES if e.id != "7"], given, tmp_path / "predictions.nlpcc")
    report = score_predictions(tmp_path / "gold.nlpcc", tmp_path / "predictions.nlpcc", tmp_path / "out")
    assert report.predictions == {"n": 11, "missing": 1, "unknown": 0}
    expected = {name: number(FIGURES[name][-1]) for name in (*TOLD, "bleu_corpus")}
    assert report.metrics == pytest.approx(expected, abs=5e-5)
    assert not any(map(isnan, report.metrics.values()))
