"""Pictures and pages of evaluations: what one system, or several, leave beside their figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from eval.ceiling import HomonymLookup
from eval.comparison_forms import Table
from eval.difficulty import difficulties
from eval.drawing import write_figures
from eval.errors import error_groups
from eval.html_report import PageParts, write_html
from eval.plots_systems import difficulty_figures, system_figures
from eval.report import SystemInfo
from eval.results import SystemResult
from kbqa_agent.types import QAExample

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["illustrate_one", "illustrate_several", "name_of"]

PAGE, PLOTS = "report.html", "plots"


def illustrate_one(
    result: SystemResult,
    examples: Sequence[QAExample],
    kb: HomonymLookup,
    figures: Mapping[str, Figure],
    out: Path,
) -> None:
    """Write plots/ and report.html of one system into `out`: `figures`, and accuracy against difficulty.

    Raises: MissingExtraError, StorageError.
    """
    drawn = {**figures, **difficulty_figures([result], difficulties(examples, kb))}
    write_figures(drawn, out / PLOTS)
    groups = error_groups(examples, result.rows, kb)
    write_html([result], examples, PageParts("Evaluation", [groups], drawn), out / PAGE)


def illustrate_several(
    results: Sequence[SystemResult],
    examples: Sequence[QAExample],
    kb: HomonymLookup,
    tables: Sequence[Table],
    out: Path,
) -> None:
    """Write plots/ and report.html of systems side by side into `out`; `tables` stand on the page after the scores.

    Of the examples those are shown that a system was asked. Raises: MissingExtraError, StorageError.
    """
    asked = {row["id"] for result in results for row in result.rows}
    examples = [example for example in examples if example.id in asked]
    drawn = system_figures(results, difficulties(examples, kb))
    write_figures(drawn, out / PLOTS)
    groups = [error_groups(examples, result.rows, kb) for result in results]
    write_html(results, examples, PageParts("Systems side by side", groups, drawn, tables), out / PAGE)


def name_of(system: SystemInfo) -> str:
    """Name a system that has no name of its own, by its model or, without one, its ranker."""
    if system.model in (None, "none"):
        return f"ranker {system.ranker}" if system.ranker else "ranker"
    return f"{system.model} with {system.adapter}" if system.adapter else str(system.model)
