"""A comparison in its written forms: JSON, and tables as text, Markdown and LaTeX."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from eval.comparison import Comparison, Difference, Group
from eval.published import PUBLISHED, SOURCE
from eval.report import finite
from eval.results import SystemResult
from eval.uncertainty import Interval
from kb_index.atomic import replacing_text
from kb_index.errors import MissingExtraError

__all__ = [
    "COMPARISON",
    "NOTE",
    "Table",
    "comparison_markdown",
    "comparison_tables",
    "comparison_to_json",
    "write_comparison",
]

SHOWN = ("mrr", "map", "f1", "exact_match", "hits@5", "bleu", "rouge_l")
GAPS = ("mrr", "f1", "exact_match")
COMPARISON = "comparison.json"
STYLES = {"comparison.txt": "simple", "comparison.md": "github", "comparison.tex": "latex_booktabs"}
NOTE = "what it was"
SHOWN_CHARS = 80
MARKS = ((0.01, "**"), (0.05, "*"))


class Table(NamedTuple):
    """A table, with the sentence that goes before it."""

    about: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


def write_comparison(comparison: Comparison, out: Path) -> None:
    """Write comparison.json, .txt, .md and .tex into `out`. Raises: StorageError, MissingExtraError."""
    for name, style in STYLES.items():
        with replacing_text(out / name) as stream:
            stream.write(_written(comparison, style))
    with replacing_text(out / "comparison.json") as stream:
        json.dump(comparison_to_json(comparison), stream, ensure_ascii=False, indent=1, allow_nan=False)
        stream.write("\n")


def comparison_markdown(comparison: Comparison) -> str:
    """Render the tables as Markdown. Raises: MissingExtraError."""
    return _written(comparison, STYLES["comparison.md"])


def _written(comparison: Comparison, style: str) -> str:
    try:
        from tabulate import tabulate
    except ImportError as error:
        raise MissingExtraError("eval", "tabulate") from error
    comment = "% " if style.startswith("latex") else ""
    tables = (
        f"{comment}{table.about}\n\n"
        + tabulate(_escaped(table.rows, style), _escaped([table.header], style)[0], style, disable_numparse=True)
        for table in comparison_tables(comparison)
        if table.rows
    )
    return "\n\n".join(tables) + "\n"


def _escaped(rows: Sequence[Sequence[str]], style: str) -> list[list[str]]:
    """Keep what would end a cell from ending it; tabulate does so for LaTeX alone."""
    return [[cell.replace("|", "\\|") if style == "github" else cell for cell in row] for row in rows]


def comparison_tables(comparison: Comparison) -> list[Table]:
    """The tables of all written forms: scores, differences, published figures, kinds of questions."""
    base = comparison.baseline
    whole = [result for result in comparison.results if result.report]
    marked = (
        f" Against {base}, over the questions that both were asked: * p < .05, ** p < .01 (paired bootstrap, Holm)."
        if comparison.differences
        else ""
    )
    return [
        Table(
            f"Each metric with its 95 % interval.{marked}",
            ["system", NOTE, "questions", *SHOWN, "ece", "questions a second"],
            [_row(result, comparison.differences.get(result.name, {})) for result in comparison.results],
        ),
        Table(
            f"Differences to {base}, with their 95 % intervals and corrected p-values.",
            ["system", "questions", *GAPS],
            [_gaps(name, of) for name, of in comparison.differences.items() if of],
        ),
        Table(
            f"Published ({SOURCE}): over the whole knowledge base, by metrics that are not fully stated.",
            ["published", "beside", "mrr", "map", "bleu", "rouge"],
            _published(whole),
        ),
        Table(
            "Share of exactly right answers by kind of question, with its 95 % interval and number of questions.",
            ["kind", "questions that have", *(result.name for result in whole)],
            [_group(group, whole) for group in comparison.groups],
        ),
    ]


def _row(result: SystemResult, gaps: Mapping[str, Difference]) -> list[str]:
    if (report := result.report) is None:
        return [result.name, f"FAILED: {shortened(result.error or '')}", *[""] * (len(SHOWN) + 3)]
    figures = [
        _figure(report.metrics[name], report.confidence_intervals[name]) + _mark(gaps.get(name)) for name in SHOWN
    ]
    ece = _figure(report.risk_coverage["ece"], report.risk_coverage["intervals"].get("ece", (math.nan, math.nan)))
    return [result.name, result.note, str(report.n_questions), *figures, ece, f"{report.questions_per_second:.1f}"]


def shortened(reason: str) -> str:
    """Cut a reason so that it does not make a table's column as wide as itself; comparison.json has all of it."""
    return reason if len(reason) <= SHOWN_CHARS else f"{reason[: SHOWN_CHARS - 1]}…"


def _gaps(name: str, gaps: Mapping[str, Difference]) -> list[str]:
    told = [f"{_figure(g.mean, g.interval, '+')} p={g.p:.3f}" if (g := gaps.get(m)) else "" for m in GAPS]
    return [name, str(max(gap.n for gap in gaps.values())), *told]


def _published(results: Sequence[SystemResult]) -> list[list[str]]:
    """The report's rows, where a system stands beside one."""
    if not any(result.published for result in results):
        return []
    return [
        [
            name,
            ", ".join(result.name for result in results if result.published == name),
            *(f"{value:.2f}" for value in figures.values()),
        ]
        for name, figures in PUBLISHED.items()
    ]


def _group(group: Group, results: Sequence[SystemResult]) -> list[str]:
    told = (group.right.get(result.name) for result in results)
    return [group.kind, group.name, *(f"{_figure(of[0], of[1])} of {of[2]}" if of else "" for of in told)]


def _figure(value: float, ends: Interval, sign: str = "") -> str:
    if not math.isfinite(value):
        return "–"
    around = f" ({ends[0]:{sign}.3f} to {ends[1]:{sign}.3f})" if all(map(math.isfinite, ends)) else ""
    return f"{value:{sign}.3f}{around}"


def _mark(gap: Difference | None) -> str:
    return next((f" {mark}" for level, mark in MARKS if gap and gap.p < level), "")


def comparison_to_json(comparison: Comparison) -> dict[str, Any]:
    """Turn a comparison into plain values that `json.dumps` takes; what has no number is None."""
    found = {
        "baseline": comparison.baseline,
        "systems": [_system(result) for result in comparison.results],
        "differences": {
            system: {metric: gap._asdict() for metric, gap in gaps.items()}
            for system, gaps in comparison.differences.items()
        },
        "groups": [
            {
                "kind": group.kind,
                "name": group.name,
                "exact_match": {
                    system: {"mean": share, "interval": ends, "n": n}
                    for system, (share, ends, n) in group.right.items()
                },
            }
            for group in comparison.groups
        ],
        "published": {"source": SOURCE, "rows": PUBLISHED},
    }
    plain: dict[str, Any] = finite(found)
    return plain


def _system(result: SystemResult) -> dict[str, Any]:
    about = {"name": result.name, "note": result.note, "published": result.published, "error": result.error}
    if result.report is None:
        return about
    report = asdict(result.report)
    report["risk_coverage"] = {key: report["risk_coverage"][key] for key in ("aurc", "ece", "intervals")}
    return about | {key: value for key, value in report.items() if value is not None and key != "unanswerable"}
