"""The pictures of one or several systems side by side: scores, risk, calibration, speed, easy and hard questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from eval.difficulty import Bin, Difficulty, accuracy_by
from eval.drawing import COLOURS, GREY, STYLES, axes_of, legend, new_figure
from eval.errors import is_right
from eval.report import Report
from eval.results import SystemResult
from eval.uncertainty import Calibration, calibration
from kb_index.fonts import show_names
from kb_index.stats.cells import clipped, printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "calibration_curves",
    "difficulty_figures",
    "metric_bars",
    "risk_coverage_curves",
    "system_figures",
    "throughput_bars",
]

_PANELS_IN_A_ROW = 3
_LABEL_CELLS = 32
Figures = dict[str, "Figure"]


def system_figures(results: Sequence[SystemResult], difficulty: Mapping[str, Difficulty]) -> Figures:
    """Draw all that can be drawn of the systems that did not fail, by the names of their files.

    Accuracy against difficulty needs questions with a gold triple (`eval.difficulty.difficulties`).
    """
    drawn = [result for result in results if result.report is not None]
    if not drawn:
        return {}
    figures = {
        "systems": metric_bars(drawn),
        "risk_coverage": risk_coverage_curves(drawn),
        "calibration": calibration_curves(drawn),
        "throughput": throughput_bars(drawn),
    }
    return figures | difficulty_figures(drawn, difficulty)


def difficulty_figures(results: Sequence[SystemResult], difficulty: Mapping[str, Difficulty]) -> Figures:
    """Draw accuracy against the numbers of candidates and of homonyms, with 95 % intervals; nothing without them."""
    if not difficulty:
        return {}
    candidates = {i: d.candidates for i, d in difficulty.items()}
    homonyms = {i: d.homonyms for i, d in difficulty.items()}
    return {
        "candidates": _accuracy_curves(results, candidates, "values of all entities of the gold name"),
        "homonyms": _accuracy_curves(results, homonyms, "entities of the gold subject's name"),
    }


def metric_bars(results: Sequence[SystemResult]) -> Figure:
    """A panel for each metric, in it a bar with its 95 % interval for each system, the first one on top."""
    reports = _reports(results)
    metrics = [m for m in next(iter(reports.values())).metrics if any(isfinite(_value(r, m)) for r in reports.values())]
    rows = max(1, ceil(len(metrics) / _PANELS_IN_A_ROW))
    columns = min(max(len(metrics), 1), _PANELS_IN_A_ROW)
    figure = new_figure(3.2 * columns + 1.5, rows * (0.9 + 0.3 * len(reports)))
    places = axes_of(figure, rows, columns, sharey=True)
    for axes in places[len(metrics) :]:
        axes.set_axis_off()
    for axes, metric in zip(places, metrics, strict=False):
        values = np.array([_value(report, metric) for report in reports.values()])
        ends = np.array([r.confidence_intervals.get(metric, (np.nan, np.nan)) for r in reports.values()])
        reach = np.nan_to_num(np.abs(ends.T - values))  # (2, n_systems): below, above
        _bars(axes, list(reports), np.nan_to_num(values), [f"{v:.3f}" if isfinite(v) else "–" for v in values], reach)
        axes.set(xlim=(0, 1.25), xticks=[0, 0.5, 1], title=metric)
    return figure


def throughput_bars(results: Sequence[SystemResult]) -> Figure:
    """Questions answered in a second by each system."""
    reports = _reports(results)
    figure = new_figure(6.0, 1.2 + 0.34 * len(reports))
    (axes,) = axes_of(figure)
    speeds = np.array([report.questions_per_second for report in reports.values()])
    _bars(axes, list(reports), speeds, [f"{speed:.3g}" for speed in speeds])
    axes.set(xlim=(0, max(float(speeds.max()), 1e-9) * 1.2), xlabel="questions a second", title="Throughput")
    return figure


def risk_coverage_curves(results: Sequence[SystemResult]) -> Figure:
    """Share of wrong answers among the most confident share of questions."""
    figure = new_figure(6.5, 4.6)
    (axes,) = axes_of(figure)
    highest = 0.05
    for place, (name, report) in enumerate(_reports(results).items()):
        curve = report.risk_coverage
        highest = max([highest, *curve["risk"]])
        axes.plot(curve["coverage"], curve["risk"], label=f"{name} (area {curve['aurc']:.3f})", **_line(place))
    axes.set(xlim=(0, 1), ylim=(0, highest * 1.1), title="Risk and coverage")
    axes.set(xlabel="coverage (most confident first)", ylabel="risk (share wrong)")
    legend(figure, axes, "upper left")
    return figure


def calibration_curves(results: Sequence[SystemResult]) -> Figure:
    """Accuracy against stated confidence, of the answers that were told; a bin with many of them has a large mark."""
    figure = new_figure(6.5, 4.8)
    (axes,) = axes_of(figure)
    axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1, label="perfectly calibrated")
    for place, (name, result) in enumerate(_named(results).items()):
        bins = _calibration(result)
        full = bins.counts > 0
        style = _line(place)
        axes.plot(bins.confidence[full], bins.accuracy[full], label=f"{name} (error {bins.ece:.3f})", **style)
        sizes = 8 + 120 * bins.counts[full] / max(int(bins.counts.sum()), 1)
        axes.scatter(bins.confidence[full], bins.accuracy[full], s=sizes, color=style["color"], zorder=3)
    axes.set(xlim=(0, 1), ylim=(0, 1.03), xlabel="stated confidence", ylabel="accuracy", title="Calibration")
    legend(figure, axes, "upper left")
    return figure


def _accuracy_curves(results: Sequence[SystemResult], numbers: Mapping[str, int], what: str) -> Figure:
    figure = new_figure(6.5, 4.4)
    (axes,) = axes_of(figure)
    binned = {name: accuracy_by(numbers, _verdicts(r)) for name, r in _named(results).items()}
    everything = accuracy_by(numbers, dict.fromkeys(set().union(*map(_verdicts, results)), True))
    labels = {b.first: f"{b.label}\n({b.n})" for b in everything}
    ticks = sorted(labels)
    for place, (name, bins) in enumerate(binned.items()):
        _draw_bins(axes, bins, ticks, name, place, (place - (len(binned) - 1) / 2) * 0.4 / len(binned))
    axes.set_xticks(range(len(ticks)), [labels[first] for first in ticks], fontsize="small")
    axes.set(ylim=(0, 1.03), xlabel=f"{what} (questions)", ylabel="accuracy", title=f"Accuracy by {what}")
    if len(binned) > 1:
        legend(figure, axes, "lower left")
    return figure


def _draw_bins(axes: Axes, bins: Sequence[Bin], ticks: Sequence[int], name: str, place: int, aside: float) -> None:
    x = [ticks.index(b.first) + aside for b in bins]
    y = np.array([b.accuracy for b in bins])
    reach = np.array([(b.accuracy - b.interval[0], b.interval[1] - b.accuracy) for b in bins]).reshape(-1, 2).T
    axes.errorbar(x, y, yerr=np.maximum(reach, 0), marker="o", markersize=4, capsize=2, label=name, **_line(place))


def _bars(
    axes: Axes, names: Sequence[str], values: np.ndarray, labels: Sequence[str], reach: np.ndarray | None = None
) -> None:
    places = range(len(names))
    axes.barh(
        places,
        values,
        color=[COLOURS[place % len(COLOURS)] for place in places],
        height=0.62,
        xerr=reach,
        error_kw={"capsize": 2, "ecolor": GREY},
    )
    ends = values if reach is None else values + reach[1]
    limit = max(float(ends.max(initial=0.0)), 1e-9)
    for place, end, label in zip(places, ends, labels, strict=True):
        axes.annotate(label, (end + 0.02 * limit, place), va="center", fontsize="small")
    axes.set_yticks(places, names)
    show_names(axes.get_yticklabels())
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")


def _line(place: int) -> dict[str, Any]:
    return {
        "color": COLOURS[place % len(COLOURS)],
        "linestyle": STYLES[place // len(COLOURS) % len(STYLES)],
        "linewidth": 1.8,
    }


def _named(results: Sequence[SystemResult]) -> dict[str, SystemResult]:
    """Shorten names to labels, and number those that are alike then."""
    named: dict[str, SystemResult] = {}
    for result in results:
        label = clipped(printable(result.name), _LABEL_CELLS)
        number = 2
        while label in named:
            label, number = f"{clipped(printable(result.name), _LABEL_CELLS - 4)} {number}", number + 1
        named[label] = result
    return named


def _reports(results: Sequence[SystemResult]) -> dict[str, Report]:
    return {name: result.report for name, result in _named(results).items() if result.report is not None}


def _value(report: Report, metric: str) -> float:
    return report.metrics.get(metric, float("nan"))


def _verdicts(result: SystemResult) -> dict[str, bool]:
    return {row["id"]: is_right(row) for row in result.rows}


def _calibration(result: SystemResult) -> Calibration:
    told = [row for row in result.rows if row["answer"] is not None]
    confidence = np.array([float(row["confidence"]) for row in told])
    return calibration(confidence, np.array([float(is_right(row)) for row in told]))
