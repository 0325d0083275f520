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
    error of the answered questions) and the curve's `coverage` and `risk`.
    """

    n_questions: int
    seconds: float
    questions_per_second: float
    system: SystemInfo
    metrics: Mapping[str, float]
    ceiling: Mapping[str, float] | None
    confidence_intervals: Mapping[str, tuple[float, float]]
    risk_coverage: Mapping[str, Any]


def write_report(report: Report, out: Path) -> None:
    """Write `report.json` and `report.md` into `out`; a figure without a value is null. Raises: StorageError."""
    with replacing_text(out / "report.json") as stream:
        json.dump(_finite(asdict(report)), stream, ensure_ascii=False, indent=2, allow_nan=False)
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
    return "\n".join(lines) + "\n"


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
