"""An evaluation's figures as one value, and its two written forms: `report.json` and `report.md`."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from eval.errors import errors_markdown
from kb_index.atomic import replacing_text

__all__ = ["Report", "SystemInfo", "finite", "report_markdown", "write_json", "write_report"]

_NOT_THERE = {
    "triples": "answered though the gold triples were hidden",
    "attribute": "answered though the attribute was hidden",
    "entities": "answered though the entities were hidden",
    "given": "answered though the file has no answer",
}
_WHERE_MEASURED = ("answerable", "unanswerable", "errors", "n_partial")
_NOWHERE = (math.nan, math.nan)


@dataclass(frozen=True, slots=True)
class SystemInfo:
    """What was measured: names or folders as the caller gave them, and the versions that ran.

    `feedback` is the file of people's feedback that counted, None without one. `ranker` is None where it is the
    index's own, or the shipped one. `questions` is the file that they are from. `key` tells whether another evaluation
    asks for the same answers (`eval.identity`), `rows_sha256` whether per_question.jsonl is the one of this report.
    """

    model: str | None = None
    adapter: str | None = None
    index: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    git_commit: str | None = None
    feedback: str | None = None
    ranker: str | None = None
    questions: str | None = None
    key: str | None = None
    rows_sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """The figures of one evaluation; the fields are the keys of `report.json`.

    `seconds` is the time spent in `ask`. Metrics lie from 0 to 1. `ceiling` is None where no question has a gold
    triple. `confidence_intervals` and `ceiling_intervals` are (low, high) at 95 %; the other groups have theirs under
    `intervals`. `risk_coverage` holds `aurc`, `ece` (expected calibration error of the answered questions) and the
    curve's `coverage` and `risk`. `answerable` holds the share of answerable questions that was expected and the one
    that the confidences tell (`eval.expectation`), `unanswerable` the figures of the test of silence
    (`eval.unanswerable`), `errors` the groups of failures (`eval.errors`), `n_partial` how many answers did without
    shards of the index; where there is none of them, it is not written.
    """

    n_questions: int
    seconds: float
    questions_per_second: float
    system: SystemInfo
    metrics: Mapping[str, float]
    ceiling: Mapping[str, float] | None
    confidence_intervals: Mapping[str, tuple[float, float]]
    risk_coverage: Mapping[str, Any]
    ceiling_intervals: Mapping[str, tuple[float, float]] | None = None
    answerable: Mapping[str, Any] | None = None
    unanswerable: Mapping[str, Any] | None = None
    errors: Mapping[str, Any] | None = None
    n_partial: int = 0


def write_report(report: Report, out: Path) -> None:
    """Write `report.json` and `report.md` into `out`; a figure without a value is null. Raises: StorageError."""
    values = {key: value for key, value in asdict(report).items() if value or key not in _WHERE_MEASURED}
    write_json(values, out / "report.json")
    with replacing_text(out / "report.md") as stream:
        stream.write(report_markdown(report))


def write_json(values: Mapping[str, Any], path: Path) -> None:
    """Write a report's keys and values; a figure without a value is null. Raises: StorageError."""
    with replacing_text(path) as stream:
        json.dump(finite(values), stream, ensure_ascii=False, indent=2, allow_nan=False)
        stream.write("\n")


def report_markdown(report: Report) -> str:
    """Render the figures as Markdown: what was measured, then tables of figures, each with its 95 % interval."""
    system = report.system
    adapter = f" with adapter {system.adapter}" if system.adapter else ""
    feedback = f" With the feedback in {system.feedback}." if system.feedback else ""
    ranker = f" Ranker: {system.ranker}." if system.ranker else ""
    asked = f" of {system.questions}" if system.questions else ""
    lines = [
        "# Evaluation",
        "",
        f"{report.n_questions} questions{asked} in {report.seconds:.1f} s "
        f"({report.questions_per_second:.1f} a second).",
        f"Model: {system.model or 'none'}{adapter}. Index: {system.index or 'unnamed'}.{ranker}{feedback}",
        f"Commit: {system.git_commit or 'unknown'}. Versions: {_versions(system.versions)}.",
        *_partial(report),
        *_metrics(report),
        *_confidence(report.risk_coverage, report.answerable),
    ]
    if report.unanswerable:
        lines += _silence(report.unanswerable)
    if report.errors:
        lines += errors_markdown(report.errors)
    return "\n".join(lines) + "\n"


def _partial(report: Report) -> list[str]:
    if not report.n_partial:
        return []
    return ["", f"**Partial**: {report.n_partial} answers did without shards of the index that are missing."]


def _metrics(report: Report) -> list[str]:
    ceiling, around = report.ceiling or {}, report.ceiling_intervals or {}
    return [
        "",
        "| metric | value | 95 % interval | ceiling | 95 % interval |",
        "|---|---:|---:|---:|---:|",
        *(
            f"| {name} | {_figure(value)} | {_interval(report.confidence_intervals[name])} "
            f"| {_figure(ceiling.get(name, math.nan))} | {_interval(around.get(name, _NOWHERE))} |"
            for name, value in report.metrics.items()
        ),
        "",
        "The ceiling is an oracle that knows the right subject name and predicate and guesses among homonyms.",
    ]


def _confidence(figures: Mapping[str, Any], answerable: Mapping[str, Any] | None) -> list[str]:
    """How far confidences can be trusted, and for which share of answerable questions they are said."""
    named = [("area under the risk-coverage curve", "aurc", figures), ("expected calibration error", "ece", figures)]
    if answerable:
        named += [
            ("share of answerable questions, told from the confidences", "estimated", answerable),
            ("expected calibration error, had that share been expected", "ece_if_told", answerable),
        ]
    expected = f" They are said for a share of {answerable['expected']:g} (`--answerable`)." if answerable else ""
    return [
        "",
        f"Confidences are compared with the answers that were told.{expected}",
        "",
        "| confidence | value | 95 % interval |",
        "|---|---:|---:|",
        *(f"| {name} | {_figure(of[key])} | {_interval(of['intervals'][key])} |" for name, key, of in named),
    ]


def _silence(figures: Mapping[str, Any]) -> list[str]:
    """A section on the test of silence: figures at the tolerated error, and as the agent's own threshold has them."""
    told = figures["told"]
    reasons = ", ".join(f"{reason} {n}" for reason, n in sorted(told["silent"].items())) or "none"
    both = {"coverage": "answerable questions answered", "risk": "wrong among the answers"}
    overall = {
        "threshold": "lowest confidence of an answer",
        "aurc": "area under the risk-coverage curve, all questions",
        "ece": "expected calibration error, all questions",
    }
    return [
        "",
        "## Silence",
        "",
        f"| | at {figures['tolerated']:.0%} error | 95 % interval | as told | 95 % interval |",
        "|---|---:|---:|---:|---:|",
        *(_row(name, *((f[key], f["intervals"][key]) for f in (figures, told))) for key, name in both.items()),
        *(
            _row(f"{_NOT_THERE[kind]} ({kinds[0]['n']})", *((k["answered"], k["interval"]) for k in kinds))
            for kind, *kinds in (
                (k, figures["unanswerable"][k], told["unanswerable"][k]) for k in figures["unanswerable"]
            )
        ),
        *(_row(name, (figures[key], figures["intervals"][key]), (math.nan, _NOWHERE)) for key, name in overall.items()),
        "",
        f"Withheld: {reasons}.",
    ]


def _row(name: str, *figures: tuple[float, Sequence[float]]) -> str:
    return f"| {name} | " + " | ".join(f"{_figure(value)} | {_interval(ends)}" for value, ends in figures) + " |"


def _interval(ends: Sequence[float]) -> str:
    return " – ".join(map(_figure, ends)) if all(map(math.isfinite, ends)) else "–"


def _versions(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items()) or "unknown"


def _figure(value: float) -> str:
    return f"{value:.4f}" if math.isfinite(value) else "–"


def finite(value: Any) -> Any:
    """Replace what JSON has no number for by None, at any depth."""
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
