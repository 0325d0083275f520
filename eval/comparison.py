"""Systems side by side: paired differences to one of them, and where each is right, by kinds of questions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eval.ceiling import HomonymLookup
from eval.difficulty import difficulties, wilson_interval
from eval.metrics import METRICS
from eval.results import SystemResult
from eval.uncertainty import Interval, paired_bootstrap
from kb_index.normalize import normalize_attribute, normalize_name
from kbqa_agent.qa_data import comparable
from kbqa_agent.types import QAExample

__all__ = ["Comparison", "Difference", "Group", "compare", "holm"]

MOST_ATTRIBUTES, FEWEST_QUESTIONS = 12, 10
OTHER = "other"
_EXACT = METRICS.index("exact_match")


class Difference(NamedTuple):
    """A metric's mean difference to the baseline over the `n` questions that both were asked.

    `p` is the two-sided p-value of the paired bootstrap, after Holm's correction for the number of systems.
    """

    mean: float
    interval: Interval
    p: float
    n: int


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
    kb: HomonymLookup,
    baseline: str,
    resamples: int = 10_000,
    seed: int = 0,
) -> Comparison:
    """Compare the systems that did not fail with the baseline, or with the first of them where that one failed.

    `resamples` bounds the smallest p-value, which Holm's correction multiplies by the number of systems.
    """
    whole = [result for result in results if result.report is not None]
    base = next((result for result in whole if result.name == baseline), whole[0] if whole else None)
    others = [result for result in whole if result is not base]
    found = {r.name: _differences(r, base, resamples, seed) for r in others} if base else {}
    groups = _groups(whole, examples, kb)
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


def _groups(results: Sequence[SystemResult], examples: Sequence[QAExample], kb: HomonymLookup) -> list[Group]:
    asked = {row["id"] for result in results for row in result.rows}
    golds = [_Gold(e.id, e.question, *e.triple[:2]) for e in examples if e.id in asked and e.triple and e.answers]
    ids = {gold.id for gold in golds}
    kinds = {
        "attribute": _attributes(golds),
        "entities of the name": {i: _crowd(of.homonyms) for i, of in difficulties(examples, kb).items() if i in ids},
        "attribute in the question": {gold.id: _spelled(gold) for gold in golds},
    }
    right = {result.name: {number: of[_EXACT] for number, of in _by_id(result).items()} for result in results}
    return [
        Group(kind, name, _shares(right, {i for i, of in by_id.items() if of == name}))
        for kind, by_id in kinds.items()
        for name in _ordered(by_id.values())
    ]


def _shares(right: Mapping[str, Mapping[str, float]], group: set[str]) -> dict[str, tuple[float, Interval, int]]:
    found = {}
    for system, of in right.items():
        hits, n = int(sum(value for number, value in of.items() if number in group)), len(group & of.keys())
        if n:
            found[system] = hits / n, wilson_interval(hits, n), n
    return found


def _attributes(golds: Sequence[_Gold]) -> dict[str, str]:
    asked = {gold.id: comparable(gold.predicate) for gold in golds}
    common = {name for name, n in Counter(asked.values()).most_common(MOST_ATTRIBUTES) if n >= FEWEST_QUESTIONS}
    return {number: name if name in common else OTHER for number, name in asked.items()}


def _crowd(n: int) -> str:
    return "1" if n == 1 else "2 to 4" if n < 5 else "5 and more"


def _spelled(gold: _Gold) -> str:
    attribute = normalize_attribute(gold.predicate)
    return "yes" if attribute and attribute in normalize_name(gold.question) else "no"


def _ordered(names: Iterable[str]) -> list[str]:
    """Groups from the largest on, what is left last."""
    counts = Counter(names)
    return sorted(counts, key=lambda name: (name == OTHER, -counts[name], name))
