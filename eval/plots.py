"""The pictures of one system's report: metrics, risk and coverage, calibration, ranks, silence.

All texts are English and ours; pictures with names from data are `eval.plots_systems`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from eval.drawing import BLUE, GREY, ORANGE, axes_of, new_figure
from eval.report import Report
from eval.uncertainty import Calibration

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "calibration_figure",
    "metrics_figure",
    "rank_figure",
    "report_figures",
    "risk_coverage_figure",
    "silence_figure",
]

_MOST_RANKS = 10


def report_figures(report: Report, bins: Calibration, ranks: Sequence[int | None]) -> dict[str, Figure]:
    """Draw four pictures, and one on silence where it was tested, by the names of their files."""
    figures = {
        "metrics": metrics_figure(report),
        "risk_coverage": risk_coverage_figure(report),
        "calibration": calibration_figure(bins),
        "ranks": rank_figure(ranks),
    }
    if report.unanswerable:
        figures["silence"] = silence_figure(report.unanswerable)
    return figures


def metrics_figure(report: Report) -> Figure:
    """Each metric with its 95 % interval, and the ceiling as a mark."""
    figure, axes = _figure(7.0, 4.2)
    names = [name for name, value in report.metrics.items() if np.isfinite(value)][::-1]
    values = np.array([report.metrics[name] for name in names])
    ends = np.array([report.confidence_intervals[name] for name in names]).reshape(-1, 2)
    reach = np.abs(ends.T - values)  # (2, n_metrics): below, above
    axes.barh(names, values, color=BLUE, height=0.6, xerr=reach, error_kw={"capsize": 3})
    for name, value in zip(names, values, strict=True):
        axes.annotate(f"{value:.3f}", (1.03, name), va="center")
    if report.ceiling is not None:
        ceiling = [report.ceiling[name] for name in names]
        axes.scatter(ceiling, names, marker="|", s=260, color=ORANGE, linewidths=2.5, zorder=3, label="homonym ceiling")
        figure.legend(loc="outside lower right", frameon=False)
    axes.set(xlim=(0, 1.14), xticks=np.linspace(0, 1, 6), xlabel="score")
    axes.set_title(f"Metrics over {report.n_questions} questions, with 95 % intervals")
    return figure


def risk_coverage_figure(report: Report) -> Figure:
    """Share of wrong answers among the most confident share of questions."""
    figure, axes = _figure(6.0, 4.2)
    coverage, risk = report.risk_coverage["coverage"], report.risk_coverage["risk"]
    axes.plot(coverage, risk, color=BLUE, linewidth=2)
    axes.fill_between(coverage, risk, color=BLUE, alpha=0.15)
    axes.set(
        xlim=(0, 1),
        ylim=(0, max([*risk, 0.05]) * 1.1),
        xlabel="coverage (most confident first)",
        ylabel="risk (share wrong)",
    )
    axes.set_title(f"Risk and coverage (area {report.risk_coverage['aurc']:.3f})")
    return figure


def silence_figure(figures: Mapping[str, Any]) -> Figure:
    """Share of wrong answers among the most confident share of questions, of which half have no answer."""
    figure, axes = _figure(6.0, 4.2)
    coverage, risk, tolerated = figures["curve"]["coverage"], figures["curve"]["risk"], figures["tolerated"]
    axes.plot(coverage, risk, color=BLUE, linewidth=2)
    axes.axhline(tolerated, color=ORANGE, linestyle="--", linewidth=1, label=f"tolerated: {tolerated:.0%}")
    axes.set(xlim=(0, 1), ylim=(0, max([*risk, 0.05]) * 1.1), xlabel="share of all questions answered")
    axes.set(ylabel="risk (share wrong)")
    axes.set_title(f"Silence: {figures['coverage']:.1%} of the answerable at {tolerated:.0%} error")
    axes.legend(loc="upper left", frameon=False)
    return figure


def calibration_figure(bins: Calibration) -> Figure:
    """Accuracy against stated confidence, and how many answers fall into each bin."""
    figure, axes = _figure(6.0, 4.8)
    full = bins.counts > 0
    edges = np.linspace(0, 1, len(bins.counts) + 1)
    share = bins.counts / max(int(bins.counts.sum()), 1)
    axes.bar(edges[:-1], share, width=np.diff(edges), align="edge", color=GREY, alpha=0.35, label="share of answers")
    axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1, label="perfectly calibrated")
    axes.plot(bins.confidence[full], bins.accuracy[full], color=BLUE, marker="o", linewidth=2, label="accuracy")
    axes.set(xlim=(0, 1), ylim=(0, 1.03), xlabel="stated confidence", ylabel="accuracy, share of answers")
    axes.set_title(f"Calibration (expected error {bins.ece:.3f})")
    axes.legend(loc="upper left", frameon=False)
    return figure


def rank_figure(ranks: Sequence[int | None]) -> Figure:
    """How many questions have their first right candidate at each rank; the last bar has none."""
    figure, axes = _figure(6.5, 4.2)
    labels = [*(str(r) for r in range(1, _MOST_RANKS + 1)), f">{_MOST_RANKS}", "none"]
    places = [_MOST_RANKS + 1 if rank is None else min(rank - 1, _MOST_RANKS) for rank in ranks]
    counts = np.bincount(np.array(places, dtype=np.int64), minlength=len(labels))
    colours = [BLUE] * (_MOST_RANKS + 1) + [ORANGE]
    drawn = axes.bar(labels, counts, color=colours)
    shares = [f"{100 * count / max(len(ranks), 1):.1f} %" if count else "" for count in counts]
    axes.bar_label(drawn, shares, padding=2, fontsize=8)
    axes.set(xlabel="rank of the first right candidate", ylabel="questions", ylim=(0, max(int(counts.max()), 1) * 1.1))
    axes.set_title(f"Where the right answer stands ({len(ranks)} questions)")
    return figure


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure = new_figure(width, height)
    return figure, axes_of(figure)[0]
