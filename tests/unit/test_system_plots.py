"""Pictures of several systems: what they draw, for whom, and with names of any characters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("matplotlib", reason="needs the extra [eval]")

from eval.difficulty import Bin, Difficulty, accuracy_by, difficulties
from eval.drawing import write_figures
from eval.inline_svg import inline_svg
from eval.plots_systems import metric_bars, risk_coverage_curves, system_figures, throughput_bars
from eval.report import Report, SystemInfo
from eval.results import SystemResult
from kb_index.types import Entity, Triple
from kbqa_agent.types import QAExample


def system(name: str, right: list[bool], share: float = 0.5) -> SystemResult:
    report = Report(
        n_questions=len(right),
        seconds=1.0,
        questions_per_second=len(right),
        system=SystemInfo("none"),
        metrics={"mrr": share, "f1": share},
        ceiling=None,
        confidence_intervals={"mrr": (share - 0.1, share + 0.1), "f1": (share, share)},
        risk_coverage={"aurc": 0.25, "ece": 0.1, "coverage": [0.5, 1.0], "risk": [0.0, 0.5]},
    )
    rows: list[dict[str, Any]] = [
        {"id": str(n), "gold": ["甲"], "answer": "甲" if hit else "乙", "confidence": 0.9, "abstained": None}
        for n, hit in enumerate(right)
    ]
    return SystemResult(name, report, rows)


RANKER, BERT = system("排序器", [True, True, False]), system("BERT $x$", [True, False, False], 0.3)
FAILED = SystemResult("failed", None, error="no such folder")
DIFFICULTY = {"0": Difficulty(1, 4), "1": Difficulty(1, 30), "2": Difficulty(3, 30)}


def test_every_metric_is_a_panel_with_a_bar_for_each_system() -> None:
    mrr, f1 = metric_bars([RANKER, BERT]).axes[:2]
    assert (mrr.get_title(), f1.get_title()) == ("mrr", "f1")
    assert [bar.get_width() for bar in mrr.patches] == [0.5, 0.3]
    assert [label.get_text() for label in mrr.get_yticklabels()] == ["排序器", "BERT $x$"]
    assert not any(label.get_parse_math() for label in mrr.get_yticklabels())
    ((low, high),) = {tuple(mrr.collections[0].get_segments()[0][:, 0].tolist())}
    assert (low, high) == pytest.approx((0.4, 0.6)), "the interval of the first bar"


def test_a_failed_system_is_not_drawn_and_nothing_but_failed_ones_gives_no_picture() -> None:
    assert len(risk_coverage_curves([RANKER, BERT]).axes[0].lines) == 2
    assert system_figures([FAILED], {}) == {}
    figures = system_figures([RANKER, FAILED], {})
    assert list(figures) == ["systems", "risk_coverage", "calibration", "throughput"]
    assert len(figures["risk_coverage"].axes[0].lines) == 1


def test_accuracy_falls_with_difficulty_bin_by_bin() -> None:
    figures = system_figures([RANKER, BERT], DIFFICULTY)
    homonyms, candidates = figures["homonyms"].axes[0], figures["candidates"].axes[0]
    assert [label.get_text() for label in homonyms.get_xticklabels()] == ["1\n(2)", "3–4\n(1)"]
    assert [label.get_text() for label in candidates.get_xticklabels()] == ["3–4\n(1)", "17–32\n(2)"]
    drawn = [list(line.get_ydata()) for line in homonyms.lines if line.get_marker() == "o"]
    assert drawn == [[1.0, 0.0], [0.5, 0.0]]


def test_accuracy_counts_only_questions_that_were_asked() -> None:
    assert accuracy_by({"a": 1, "b": 200}, {"b": False}) == [
        Bin(129, None, 1, 0.0, (0.0, pytest.approx(0.793, abs=1e-3)))
    ]


def test_difficulty_is_told_by_all_entities_of_the_name() -> None:
    class Two:
        def entities_named(self, name: str) -> list[Entity]:
            return [Entity(0, "李明"), Entity(1, "李明(画家)")] if name == "李明" else []

        def triples_of(self, ids: Any) -> list[Triple]:
            facts = [("李明", "职业", "教师", 0), ("李明(画家)", "职业", "画家", 1), ("李明(画家)", "专长", "画家", 1)]
            return [Triple(n, *fact) for n, fact in enumerate(facts) if fact[3] in ids]

    asked = [
        QAExample("1", "?", ("教师",), ("李明", "职业", "教师")),
        QAExample("2", "?", ("x",), ("无名", "职业", "x")),
        QAExample("3", "?", ("x",)),
    ]
    assert difficulties(asked, Two()) == {"1": Difficulty(homonyms=2, candidates=2)}


def test_systems_of_one_name_both_show() -> None:
    labels = [text.get_text() for text in throughput_bars([RANKER, RANKER]).axes[0].get_yticklabels()]
    assert labels == ["排序器", "排序器 2"]


def test_pictures_are_written_twice_the_same_as_png_and_svg(tmp_path: Path) -> None:
    written = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        write_figures({"throughput": throughput_bars([RANKER])}, folder)
        written.append({p.name: p.read_bytes() for p in folder.iterdir()})
    assert sorted(written[0]) == ["throughput.png", "throughput.svg"]
    assert written[0]["throughput.png"].startswith(b"\x89PNG")
    assert written[0]["throughput.svg"] == written[1]["throughput.svg"]


def test_a_figure_in_a_page_has_texts_its_own_ids_and_the_colours_of_the_page() -> None:
    hostile = system("<img src=x onerror=alert(1)>", [True])
    drawn = inline_svg(throughput_bars([hostile]), "speed", 'quick & "slow"')
    assert drawn.startswith("<svg")
    assert "&lt;img src=x" in drawn
    assert "<img" not in drawn
    assert 'aria-label="quick &amp; &quot;slow&quot;"' in drawn
    assert 'id="speed-figure_1"' in drawn
    assert "#000000" not in drawn
    assert "currentColor" in drawn
    assert "http" not in drawn, "nothing that a browser could fetch"
