"""Systems side by side: paired differences to one of them, and where each is right, by kinds of questions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from eval.metrics import METRICS
from eval.results import SystemResult
from eval.uncertainty import Interval, bootstrap_intervals, paired_bootstrap
from kb_index.normalize import normalize_attribute, normalize_name
from kb_index.types import Entity
from kbqa_agent.qa_data import comparable
from kbqa_agent.types import QAExample

__all__ = ["Comparison", "Difference", "Group", "Names", "compare", "holm"]

SIGNIFICANT = 0.05
MOST_ATTRIBUTES, FEWEST_QUESTIONS = 12, 10
OTHER = "other"
_EXACT = METRICS.index("exact_match")


class Names(Protocol):
    """The look-up that tells how many entities share a name."""

    def entities_named(self, name: str) -> list[Entity]:
        """All entities that have this name or alias."""


class Difference(NamedTuple):
    """A metric's mean difference to the baseline over the `n` questions that both were asked.

    `p` is the two-sided p-value of the paired bootstrap, after Holm's correction for the number of systems.
    """

    mean: float
    interval: Interval
    p: float
    n: int

    @property
    def is_significant(self) -> bool:
        """Whether chance would rarely make so large a difference."""
        return self.p < SIGNIFICANT


class Group(NamedTuple):
    """The questions of one kind: for each system that was asked some, the share of exactly right answers.

    `right` has (share, interval, number of questions) by the name of the system.
    """

    kind: str
    name: str
    right: Mapping[str, tuple[float, Interval, int]]


class _Gold(NamedTuple):
    """A question with the subject and the predicate of its gold triple."""

    id: str
    question: str
    subject: str
    predicate: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """The results of systems, what tells them from the baseline (system -> metric -> difference), and the groups."""

    results: Sequence[SystemResult]
    baseline: str | None
    differences: Mapping[str, Mapping[str, Difference]]
    groups: Sequence[Group]


def compare(
    results: Sequence[SystemResult],
    examples: Sequence[QAExample],
    kb: Names,
    baseline: str,
    resamples: int = 1000,
    seed: int = 0,
) -> Comparison:
    """Compare the systems that did not fail with the baseline, or with the first of them where that one failed."""
    whole = [result for result in results if result.report is not None]
    base = next((result for result in whole if result.name == baseline), whole[0] if whole else None)
    others = [result for result in whole if result is not base]
    found = {r.name: _differences(r, base, resamples, seed) for r in others} if base else {}
    groups = _groups(whole, examples, kb, resamples, seed)
    return Comparison(results, base.name if base else None, _corrected(found), groups)


def _differences(result: SystemResult, base: SystemResult, resamples: int, seed: int) -> dict[str, Difference]:
    mine, other = _by_id(result), _by_id(base)
    shared = [number for number in mine if number in other]
    if not shared:
        return {}
    gaps = np.array([mine[number] - other[number] for number in shared])
    means, ends, p = paired_bootstrap(gaps, resamples, seed)
    counts = np.isfinite(gaps).sum(axis=0)
    return {
        name: Difference(float(means[i]), (float(ends[i, 0]), float(ends[i, 1])), float(p[i]), int(counts[i]))
        for i, name in enumerate(METRICS)
        if counts[i]
    }


def _by_id(result: SystemResult) -> dict[str, NDArray[np.float64]]:
    scores = np.empty((0, len(METRICS))) if result.scores is None else result.scores
    return {row["id"]: of for row, of in zip(result.rows, scores, strict=True)}


def _corrected(found: Mapping[str, Mapping[str, Difference]]) -> dict[str, dict[str, Difference]]:
    """Correct the p-values of each metric for the number of systems."""
    corrected: dict[str, dict[str, Difference]] = {name: {} for name in found}
    for metric in METRICS:
        told = [name for name in found if metric in found[name]]
        for name, p in zip(told, holm([found[name][metric].p for name in told]), strict=True):
            corrected[name][metric] = found[name][metric]._replace(p=p)
    return corrected


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for their number, step by step from the smallest.

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]

    Reference: Holm 1979, A simple sequentially rejective multiple test procedure.
    """
    order = np.argsort(p_values, kind="stable")
    corrected, highest = [0.0] * len(p_values), 0.0
    for place, number in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - place) * p_values[number]))
        corrected[number] = highest
    return corrected


def _groups(
    results: Sequence[SystemResult], examples: Sequence[QAExample], kb: Names, resamples: int, seed: int
) -> list[Group]:
    asked = {row["id"] for result in results for row in result.rows}
    golds = [_Gold(e.id, e.question, *e.triple[:2]) for e in examples if e.id in asked and e.triple and e.answers]
    kinds = {
        "attribute": _attributes(golds),
        "entities of the name": {gold.id: _crowd(len(kb.entities_named(gold.subject))) for gold in golds},
        "attribute in the question": {gold.id: _spelled(gold) for gold in golds},
    }
    right = {result.name: {number: of[_EXACT] for number, of in _by_id(result).items()} for result in results}
    return [
        Group(kind, name, _shares(right, {i for i, of in by_id.items() if of == name}, resamples, seed))
        for kind, by_id in kinds.items()
        for name in _ordered(by_id.values())
    ]


def _shares(
    right: Mapping[str, Mapping[str, float]], group: set[str], resamples: int, seed: int
) -> dict[str, tuple[float, Interval, int]]:
    found = {}
    for system, of in right.items():
        values = np.array([value for number, value in of.items() if number in group])
        if len(values):
            low, high = bootstrap_intervals(values[:, None], resamples, seed)[0].tolist()
            found[system] = float(values.mean()), (low, high), len(values)
    return found


def _attributes(golds: Sequence[_Gold]) -> dict[str, str]:
    asked = {gold.id: comparable(gold.predicate) for gold in golds}
    common = {name for name, n in Counter(asked.values()).most_common(MOST_ATTRIBUTES) if n >= FEWEST_QUESTIONS}
    return {number: name if name in common else OTHER for number, name in asked.items()}


def _crowd(n: int) -> str:
    return "not there" if n == 0 else "1" if n == 1 else "2 to 4" if n < 5 else "5 and more"


def _spelled(gold: _Gold) -> str:
    attribute = normalize_attribute(gold.predicate)
    return "yes" if attribute and attribute in normalize_name(gold.question) else "no"


def _ordered(names: Iterable[str]) -> list[str]:
    """Groups from the largest on, what is left last."""
    counts = Counter(names)
    return sorted(counts, key=lambda name: (name == OTHER, -counts[name], name))
