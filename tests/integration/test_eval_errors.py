"""`kbqa eval --errors` on the embedded sample: failures in groups, in every form of the report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

pytest.importorskip("matplotlib", reason="needs the extra [eval]")

from cli import main
from eval.errors import GROUPS
from kb_index import build_index
from kbqa_agent.sample import sample_test, sample_triples


def test_failures_are_grouped_in_every_form_of_the_report(tmp_path: Path) -> None:
    build_index([sample_triples()], tmp_path / "index", progress=False)
    words = ["eval", "--index", str(tmp_path / "index"), "--questions", str(sample_test())]
    words += ["--out", str(tmp_path / "out")]
    done = CliRunner().invoke(main, [*words, "--model", "none", "--ranker", "lexical", "--errors", "2"])
    assert done.exit_code == 0, done.output
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    errors, wrong = report["errors"], 1 - report["metrics"]["exact_match"]
    assert errors["n"] > 0
    assert errors["share"] == pytest.approx(wrong)
    assert sum(group["n"] for group in errors["groups"].values()) == errors["n"]
    assert set(errors["groups"]) <= set(GROUPS)
    assert all(1 <= len(group["examples"]) <= 2 for group in errors["groups"].values())
    assert "## Errors" in done.stdout
    assert "<h2>Errors</h2>" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
