"""An evaluation's figures as one value, and its two written forms: `report.json` and `report.md`."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kb_index.atomic import replacing_text

__all__ = ["Report", "SystemInfo", "report_markdown", "write_report"]

_NOT_THERE = {
    "triples": "answered though the gold triples were hidden",
    "attribute": "answered though the attribute was hidden",
    "entities": "answered though the entities were hidden",
    "given": "answered though the file has no answer",
}


@dataclass(frozen=True, slots=True)
class SystemInfo:
    """What was measured: names or folders as the caller gave them, and the versions that ran."""

    model: str | None = None
    adapter: str | None = None
    index: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    git_commit: str | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """The figures of one evaluation; the fields are the keys of `report.json`.

    `seconds` is the time spent in `ask`. Metrics lie from 0 to 1. `ceiling` is None where no question has a gold
    triple. `confidence_intervals` are (low, high) at 95 %. `risk_coverage` holds `aurc`, `ece` (expected calibration
    error of the answered questions) and the curve's `coverage` and `risk`. `unanswerable` holds the figures of the test
    of silence (`eval.unanswerable.silence_figures`); where that was not asked for, it is None and not written.
    """

    n_questions: int
    seconds: float
    questions_per_second: float
    system: SystemInfo
    metrics: Mapping[str, float]
    ceiling: Mapping[str, float] | None
    confidence_intervals: Mapping[str, tuple[float, float]]
    risk_coverage: Mapping[str, Any]
    unanswerable: Mapping[str, Any] | None = None


def write_report(report: Report, out: Path) -> None:
    """Write `report.json` and `report.md` into `out`; a figure without a value is null. Raises: StorageError."""
    with replacing_text(out / "report.json") as stream:
        values = {key: value for key, value in asdict(report).items() if key != "unanswerable" or value}
        json.dump(_finite(values), stream, ensure_ascii=False, indent=2, allow_nan=False)
        stream.write("\n")
    with replacing_text(out / "report.md") as stream:
        stream.write(report_markdown(report))


def report_markdown(report: Report) -> str:
    """Render the figures as Markdown: a heading, what was measured, and a table of metrics."""
    system = report.system
    adapter = f" with adapter {system.adapter}" if system.adapter else ""
    lines = [
        "# Evaluation",
        "",
        f"{report.n_questions} questions in {report.seconds:.1f} s ({report.questions_per_second:.1f} a second).",
        f"Model: {system.model or 'none'}{adapter}. Index: {system.index or 'unnamed'}.",
        f"Commit: {system.git_commit or 'unknown'}. Versions: {_versions(system.versions)}.",
        "",
        "| metric | value | 95 % interval | ceiling |",
        "|---|---:|---:|---:|",
    ]
    for name, value in report.metrics.items():
        low, high = report.confidence_intervals[name]
        ceiling = report.ceiling[name] if report.ceiling else math.nan
        lines.append(f"| {name} | {_figure(value)} | {_figure(low)} – {_figure(high)} | {_figure(ceiling)} |")
    aurc, ece = report.risk_coverage["aurc"], report.risk_coverage["ece"]
    lines += [
        "",
        f"Area under the risk-coverage curve: {_figure(aurc)}. Expected calibration error: {_figure(ece)}.",
        "",
        "The ceiling is an oracle that knows the right subject name and predicate and guesses among homonyms.",
    ]
    if report.unanswerable:
        lines += _silence(report.unanswerable)
    return "\n".join(lines) + "\n"


def _silence(figures: Mapping[str, Any]) -> list[str]:
    """A section on the test of silence: a column at the tolerated error, one as the agent's own threshold has it."""
    told = figures["told"]
    rows = [
        ("answerable questions answered", figures["coverage"], told["coverage"]),
        ("wrong among the answers", figures["risk"], told["risk"]),
        *(
            (f"{_NOT_THERE[kind]} ({count['n']})", count["answered"], told["unanswerable"][kind]["answered"])
            for kind, count in figures["unanswerable"].items()
        ),
    ]
    reasons = ", ".join(f"{reason} {n}" for reason, n in sorted(told["silent"].items())) or "none"
    return [
        "",
        "## Silence",
        "",
        f"| | at {figures['tolerated']:.0%} error (confidence {_figure(figures['threshold'])}) | as told |",
        "|---|---:|---:|",
        *(f"| {name} | {_figure(at_risk)} | {_figure(as_told)} |" for name, at_risk, as_told in rows),
        "",
        f"Over all of these questions: area under the risk-coverage curve {_figure(figures['aurc'])}, expected "
        f"calibration error {_figure(figures['ece'])}. Withheld: {reasons}.",
    ]


def _versions(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items()) or "unknown"


def _figure(value: float) -> str:
    return f"{value:.4f}" if math.isfinite(value) else "–"


def _finite(value: Any) -> Any:
    """Replace what JSON has no number for by None, at any depth."""
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
