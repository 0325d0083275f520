"""The record of a training and its metrics, as they are read again."""

from __future__ import annotations

from pathlib import Path

import pytest

from finetune.record import StageMetrics, read_metrics, training_record, write_metrics
from kb_index.errors import InputError


def test_a_record_holds_command_settings_data_and_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["/somewhere/bin/kbqa", "finetune", "ranker", "--out", "my ranker"])
    assert training_record({"seed": 3, "out": Path("a")}, {"n_questions": 2}, ["no-such-package"]) == {
        "command": "kbqa finetune ranker --out 'my ranker'",
        "config": {"seed": 3, "out": "a"},
        "n_questions": 2,
        "versions": {"kbqa": "0.1.0", "no-such-package": "not installed"},
    }


def test_a_last_line_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    assert read_metrics(path) == []
    write_metrics([{"step": 1}, {"step": 2}], path)
    path.write_text(path.read_text() + '{"step": 3, "loss', encoding="utf-8")
    assert read_metrics(path) == [{"step": 1}, {"step": 2}]


def test_another_damaged_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n{"st\n{"step": 3}\n', encoding="utf-8")
    with pytest.raises(InputError, match=r"metrics\.jsonl:2: not a JSON object"):
        read_metrics(path)


def test_stages_hold_their_figures_and_the_time() -> None:
    stages = StageMetrics()
    stages.add("retrieve", recall=0.5)
    assert stages.rows[0] | {"seconds": 0.0} == {"stage": "retrieve", "recall": 0.5, "seconds": 0.0}
    assert stages.rows[0]["seconds"] >= 0
