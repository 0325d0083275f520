"""`make benchmark`: what is told of a score that is not as expected, and that its file names commands that exist."""

from __future__ import annotations

import shlex
import tomllib
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from cli import main
from eval.metrics import METRICS
from eval.systems import read_systems

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return import_module("check")


def test_a_score_that_is_off_by_more_than_its_tolerance(check: ModuleType) -> None:
    benchmark = {"name": "lexical", "tolerance": 0.01, "expected": {"mrr": 0.8, "f1": 0.7}}
    assert list(check.compared(benchmark, {"mrr": 0.809, "f1": 0.68, "map": 0.1})) == [
        ("  lexical      mrr          0.8090  as expected", True),
        ("  lexical      f1           0.6800  EXPECTED 0.7000 within 0.01", False),
    ]
    assert list(check.compared({"name": "index"}, {})) == []


def test_the_expected_scores_are_of_commands_and_metrics_that_exist(check: ModuleType) -> None:
    listed = tomllib.loads(check.EXPECTED.read_text(encoding="utf-8"))["benchmark"]
    for benchmark in listed:
        name, *arguments = shlex.split(benchmark["command"].format(data="data", work="work"))
        main.commands[name].make_context(name, arguments)  # fails where an option is not known
        assert set(benchmark.get("expected", {})) <= set(METRICS)
    assert any("expected" in benchmark for benchmark in listed)


def test_the_systems_of_the_table_can_be_read() -> None:
    assert sum(system.baseline for system in read_systems(BENCHMARKS / "systems.toml")) == 1
