"""Systems side by side, with scores whose differences are worked out by hand."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eval.comparison import compare, holm
from eval.comparison_forms import comparison_markdown, comparison_to_json, write_comparison
from eval.metrics import METRICS
from eval.report import Report, SystemInfo
from eval.results import SystemResult
from eval.uncertainty import paired_bootstrap
from kb_index.types import Entity, Triple
from kbqa_agent.types import QAExample

EXACT = METRICS.index("exact_match")
EXAMPLES = [
    QAExample(str(i), f"甲{i}的{'作者' if i % 2 else '编者'}是谁？", ("乙",), (f"甲{i}", "作者", "乙"))
    for i in range(40)
]


class Names:
    """Names from 甲3 on, and 甲4 to 甲9, are those of three entities."""

    def entities_named(self, name: str) -> list[Entity]:
        first = int(name[1:]) * 10
        return [Entity(first + i, name) for i in range(1 if name < "甲3" else 3)]

    def triples_of(self, entity_ids: Sequence[int]) -> list[Triple]:
        return [Triple(i, f"甲{i // 10}", "作者", "乙", i) for i in entity_ids]


def result(name: str, right: list[float], ids: list[str] | None = None) -> SystemResult:
    scores = np.tile(np.array(right, float)[:, None], len(METRICS))
    mean = float(np.mean(right))
    report = Report(
        n_questions=len(right),
        seconds=2.0,
        questions_per_second=len(right) / 2,
        system=SystemInfo(model="none"),
        metrics=dict.fromkeys(METRICS, mean),
        ceiling=None,
        confidence_intervals=dict.fromkeys(METRICS, (mean - 0.1, mean + 0.1)),
        risk_coverage={"aurc": 0.1, "ece": math.nan, "intervals": {}, "coverage": [], "risk": []},
    )
    rows = [{"id": number} for number in ids or [str(i) for i in range(len(right))]]
    return SystemResult(name, report, rows, scores, note=f"what {name} was")


BASE = result("base", [0.0, 1.0] * 20)
BETTER = result("better", [1.0] * 40)
FEW = result("few", [1.0, 0.0], ["1", "2"])
FAILED = SystemResult("failed", None, error="no such folder")


def test_differences_are_over_the_questions_that_both_were_asked() -> None:
    found = compare([BASE, BETTER, FEW, FAILED], EXAMPLES, Names(), "base").differences
    assert set(found) == {"better", "few"}
    assert found["better"]["f1"].mean == 0.5
    assert found["better"]["f1"].n == 40
    low, high = found["better"]["f1"].interval
    assert 0.3 < low < 0.5 < high < 0.7
    assert found["better"]["f1"].p < 0.001
    assert (found["few"]["f1"].mean, found["few"]["f1"].n) == (0.0, 2)
    assert found["few"]["f1"].p > 0.5


def test_without_the_baseline_the_first_that_did_not_fail_is_compared_with() -> None:
    found = compare([FAILED, BETTER, BASE], EXAMPLES, Names(), "failed")
    assert found.baseline == "better"
    assert found.differences["base"]["mrr"].mean == -0.5


def test_groups_tell_where_a_system_is_right() -> None:
    groups = {(g.kind, g.name): g.right for g in compare([BASE, FEW], EXAMPLES, Names(), "base").groups}
    assert groups["attribute", "作者"]["base"][::2] == (0.5, 40)
    share, (low, high), n = groups["attribute in the question", "yes"]["base"]
    assert (share, n) == (1.0, 20)
    assert (round(low, 3), high) == (0.839, 1.0)  # Wilson's: 20 of 20 are no proof of all
    assert groups["attribute in the question", "no"]["base"][::2] == (0.0, 20)
    assert groups["attribute in the question", "yes"]["few"][::2] == (1.0, 1)
    assert groups["entities of the name", "1"]["base"][2] == 23  # 0, 1, 2 and 10 to 29
    assert groups["entities of the name", "2 to 4"]["base"][2] == 17


def test_a_difference_can_be_significant_beside_many_other_systems() -> None:
    others = [result(f"other {i}", [0.0, 1.0] * 20) for i in range(12)]
    found = compare([BASE, BETTER, *others], EXAMPLES, Names(), "base").differences
    assert found["better"]["f1"].p < 0.01


def test_names_that_would_end_a_cell_do_not(tmp_path: Path) -> None:
    hostile = compare([BASE, SystemResult("a|b", None, error="got ||| instead")], EXAMPLES, Names(), "base")
    row = next(line for line in comparison_markdown(hostile).splitlines() if line.startswith("| a"))
    assert "a\\|b" in row
    assert "got \\|\\|\\| instead" in row


def test_holm_by_hand() -> None:
    assert holm([0.04, 0.01, 0.9]) == pytest.approx([0.08, 0.03, 0.9])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


def test_the_p_value_of_a_difference_that_chance_makes_is_large() -> None:
    lopsided = np.full((5, 2), np.nan)
    lopsided[:2] = [1.0, -1.0]
    _, _, (better, worse) = paired_bootstrap(lopsided, resamples=999)
    assert abs(better - worse) < 1e-12  # resamples without a value count on neither side
    rng = np.random.default_rng(0)
    gaps = np.column_stack([rng.choice([-1.0, 1.0], 200), np.full(200, 0.2), np.full(200, np.nan)])
    means, ends, p = paired_bootstrap(gaps, resamples=999)
    assert p[0] > 0.05
    assert p[1] == 0.001
    assert ends[1].tolist() == pytest.approx([0.2, 0.2])
    assert math.isnan(means[2])
    assert math.isnan(p[2])


def test_the_written_forms(tmp_path: Path) -> None:
    comparison = compare([BASE, BETTER, FAILED], EXAMPLES, Names(), "base")
    write_comparison(comparison, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "comparison.json",
        "comparison.md",
        "comparison.tex",
        "comparison.txt",
    ]
    markdown = (tmp_path / "comparison.md").read_text(encoding="utf-8")
    assert markdown == comparison_markdown(comparison)
    row = next(line for line in markdown.splitlines() if line.startswith("| better"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[:4] == ["better", "what better was", "40", "1.000 (0.900 to 1.100) **"]
    assert cells[-2:] == ["–", "20.0"]
    assert "FAILED: no such folder" in markdown
    assert "Galactica 1.3B" not in markdown  # no system stands beside it
    beside = compare([BASE, replace(BETTER, published="BERT")], EXAMPLES, Names(), "base")
    assert "| BERT           | better   | 0.70" in comparison_markdown(beside)
    assert r"exact\_match" in (tmp_path / "comparison.tex").read_text(encoding="utf-8")
    written = json.loads((tmp_path / "comparison.json").read_text(encoding="utf-8"))
    assert written == json.loads(json.dumps(comparison_to_json(comparison)))
    assert written["differences"]["better"]["f1"]["mean"] == 0.5
    assert written["systems"][2]["error"] == "no such folder"
    assert written["systems"][0]["risk_coverage"]["ece"] is None
