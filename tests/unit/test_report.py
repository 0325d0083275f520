"""A report's two written forms and its pictures."""

from __future__ import annotations

import json
from dataclasses import replace
from math import nan
from pathlib import Path

import numpy as np
import pytest

from eval.drawing import write_figures
from eval.metrics import METRICS
from eval.plots import (
    calibration_figure,
    metrics_figure,
    rank_figure,
    report_figures,
    risk_coverage_figure,
    silence_figure,
)
from eval.report import Report, SystemInfo, report_markdown, write_report
from eval.uncertainty import calibration
from kb_index.errors import StorageError

REPORT = Report(
    n_questions=2,
    seconds=0.5,
    questions_per_second=4.0,
    system=SystemInfo("none", None, "my-index", {"python": "3.11.9"}, "abc123"),
    metrics=dict.fromkeys(METRICS, 0.5),
    ceiling=dict.fromkeys(METRICS, 0.9),
    confidence_intervals=dict.fromkeys(METRICS, (0.25, 0.75)),
    risk_coverage={
        "aurc": 0.25,
        "ece": 0.1,
        "intervals": {"aurc": (0.2, 0.3), "ece": (0.05, 0.15)},
        "coverage": [0.5, 1.0],
        "risk": [0.0, 0.5],
    },
    ceiling_intervals=dict.fromkeys(METRICS, (0.8, 1.0)),
)
BINS = calibration(np.array([0.2, 0.9]), np.array([0.0, 1.0]))


def test_the_keys_that_other_programs_read(tmp_path: Path) -> None:
    write_report(REPORT, tmp_path)
    written = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert list(written) == [
        "n_questions",
        "seconds",
        "questions_per_second",
        "system",
        "metrics",
        "ceiling",
        "confidence_intervals",
        "risk_coverage",
        "ceiling_intervals",
    ]
    named = ["model", "adapter", "index", "versions", "git_commit", "feedback"]
    assert list(written["system"]) == [*named, "ranker", "questions", "key", "rows_sha256"]
    metrics = {"mrr", "map", "hits@1", "hits@5", "f1", "exact_match", "bleu", "rouge_1", "rouge_2", "rouge_l"}
    assert metrics < set(METRICS)
    assert list(written["metrics"]) == list(written["ceiling"]) == list(written["confidence_intervals"])
    assert list(written["metrics"]) == list(METRICS)
    assert written["confidence_intervals"]["mrr"] == [0.25, 0.75]


def test_a_figure_without_a_value_is_null_and_a_dash(tmp_path: Path) -> None:
    report = replace(REPORT, metrics={**REPORT.metrics, "mrr": nan}, ceiling=None, ceiling_intervals=None)
    write_report(report, tmp_path)
    written = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert written["metrics"]["mrr"] is None
    assert written["ceiling"] is None
    assert "| mrr | – | 0.2500 – 0.7500 | – | – |" in report_markdown(report)


def test_markdown_says_what_was_measured() -> None:
    text = report_markdown(replace(REPORT, system=replace(REPORT.system, model="gpt2", adapter="lora")))
    assert "2 questions in 0.5 s (4.0 a second)." in text
    assert "Model: gpt2 with adapter lora. Index: my-index." in text
    assert "Commit: abc123. Versions: python 3.11.9." in text
    assert "| f1 | 0.5000 | 0.2500 – 0.7500 | 0.9000 | 0.8000 – 1.0000 |" in text


def test_the_section_on_silence() -> None:
    at_risk = {"coverage": 0.8, "risk": 0.05, "threshold": 0.6, "aurc": 0.2, "ece": 0.01}
    told = {"coverage": 0.75, "risk": 0.0}
    hidden = {"entities": {"n": 7, "answered": 0.125, "interval": (0.0, 0.25)}}
    curve = {"coverage": [0.5, 1.0], "risk": [0.0, 0.5]}
    silence = {
        "tolerated": 0.05,
        **at_risk,
        "unanswerable": hidden,
        "intervals": dict.fromkeys(at_risk, (0.0, 0.9)),
        "told": {
            **told,
            "unanswerable": hidden,
            "intervals": dict.fromkeys(told, (0.5, 1.0)),
            "silent": {"no_entity": 6, "ambiguous": 2},
        },
        "curve": curve,
    }
    text = report_markdown(replace(REPORT, unanswerable=silence))
    assert "| | at 5% error | 95 % interval | as told | 95 % interval |" in text
    assert "| answerable questions answered | 0.8000 | 0.0000 – 0.9000 | 0.7500 | 0.5000 – 1.0000 |" in text
    hidden_row = (
        "| answered though the entities were hidden (7) | 0.1250 | 0.0000 – 0.2500 | 0.1250 | 0.0000 – 0.2500 |"
    )
    assert hidden_row in text
    assert "| lowest confidence of an answer | 0.6000 | 0.0000 – 0.9000 | – | – |" in text
    assert "| expected calibration error, all questions | 0.0100 | 0.0000 – 0.9000 |" in text
    assert "Withheld: ambiguous 2, no_entity 6." in text
    assert list(silence_figure(silence).axes[0].lines[0].get_ydata()) == [0.0, 0.5]
    assert "Silence" not in report_markdown(REPORT)


def test_the_share_that_was_expected_and_the_one_that_the_confidences_tell() -> None:
    figures = {"expected": 0.9, "estimated": 0.99, "ece_if_told": 0.02}
    answerable = {**figures, "intervals": {"estimated": (0.98, 1.0), "ece_if_told": (0.01, 0.03)}}
    text = report_markdown(replace(REPORT, answerable=answerable))
    assert "They are said for a share of 0.9 (`--answerable`)." in text
    assert "| share of answerable questions, told from the confidences | 0.9900 | 0.9800 – 1.0000 |" in text
    assert "| expected calibration error | 0.1000 | 0.0500 – 0.1500 |" in text
    assert "--answerable" not in report_markdown(REPORT)


def test_the_section_on_errors(tmp_path: Path) -> None:
    told = {"id": "7", "question": "?", "gold": "a", "answer": "b", "evidence": ""}
    group = {"n": 1, "share": 0.5, "meaning": "another attribute", "examples": [told]}
    report = replace(REPORT, errors={"n": 1, "share": 0.5, "groups": {"attribute": group}})
    write_report(report, tmp_path)
    assert json.loads((tmp_path / "report.json").read_text())["errors"]["groups"]["attribute"]["examples"] == [told]
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "| attribute | 1 | 50.00% | another attribute |" in text
    assert "| 7 | ? | a | b |  |" in text


def test_a_folder_that_cannot_be_written_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="cannot be written") as caught:
        write_report(REPORT, tmp_path / "file" / "out")
    assert "\n" not in str(caught.value)


def test_pictures_are_written_and_show_something(tmp_path: Path) -> None:
    from matplotlib.image import imread

    write_figures(report_figures(REPORT, BINS, [1, 2, None]), tmp_path)
    names = ["calibration", "metrics", "ranks", "risk_coverage"]
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"{n}.{kind}" for n in names for kind in ("png", "svg")]
    for path in tmp_path.glob("*.png"):
        pixels = imread(path)
        assert pixels.shape[0] > 400
        assert pixels.shape[1] > 600
        assert 0.02 < float((pixels[:, :, :3] < 0.9).any(axis=2).mean()) < 0.9


def test_what_the_pictures_draw() -> None:
    bars = metrics_figure(replace(REPORT, metrics={**REPORT.metrics, "mrr": nan})).axes[0]
    assert [label.get_text() for label in bars.get_yticklabels()] == list(METRICS[1:])[::-1]
    curve = risk_coverage_figure(REPORT).axes[0].lines[0]
    assert list(curve.get_ydata()) == [0.0, 0.5]
    heights = [bar.get_height() for bar in rank_figure([1, 1, 10, 11, 50, None]).axes[0].patches]
    assert heights == [2, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 1]
    accuracy = calibration_figure(BINS).axes[0].lines[1]
    assert list(accuracy.get_xdata()) == pytest.approx([0.2, 0.9])
    assert list(accuracy.get_ydata()) == [0.0, 1.0]


def test_an_evaluation_of_nothing_but_unanswerable_questions_still_has_pictures(tmp_path: Path) -> None:
    nothing = replace(
        REPORT, metrics=dict.fromkeys(METRICS, nan), confidence_intervals=dict.fromkeys(METRICS, (nan, nan))
    )
    figures = report_figures(replace(nothing, ceiling=None), calibration(np.empty(0), np.empty(0)), [])
    write_figures(figures, tmp_path)
    assert (tmp_path / "metrics.png").stat().st_size > 1000
