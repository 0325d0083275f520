"""What an evaluation of one system leaves: its report, a row for each question, or why it failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eval.report import Report

__all__ = ["Evaluation", "Row", "SystemResult"]

Row = Mapping[str, Any]
"""A line of `per_question.jsonl`: `id`, `gold`, and the keys of `ask --json`."""


class Evaluation(NamedTuple):
    """What an evaluation leaves: the report, a row for each question, and each of `eval.metrics.METRICS` for each row.

    `scores` is (n_rows, n_metrics), NaN where a metric leaves a question out.
    """

    report: Report
    rows: Sequence[Row]
    scores: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SystemResult:
    """One system of a comparison.

    `scores` is as in `Evaluation`. `note` says what the system really was. `published` names the row of the report's
    table that it stands beside, if any. `report` is None where it failed, and `error` then says why.
    """

    name: str
    report: Report | None
    rows: Sequence[Row] = ()
    scores: NDArray[np.float64] | None = None
    note: str = ""
    published: str | None = None
    error: str | None = None
