"""What an evaluation of one system leaves: its report, a row for each question, or why it failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eval.report import Report

__all__ = ["Row", "SystemResult"]

Row = Mapping[str, Any]
"""A line of `per_question.jsonl`: `id`, `gold`, and the keys of `ask --json`."""


@dataclass(frozen=True, slots=True)
class SystemResult:
    """One system of a comparison.

    `note` says what it really was. `published` names the row of the report's table that it stands beside, if any.
    `report` is None where it failed, and `error` then says why.
    """

    name: str
    report: Report | None
    rows: Sequence[Row] = ()
    note: str = ""
    published: str | None = None
    error: str | None = None
