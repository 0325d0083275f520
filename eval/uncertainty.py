"""How sure the figures are, and how sure the system was: bootstrap intervals, risk and coverage, calibration."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Calibration",
    "Interval",
    "RiskCoverage",
    "bootstrap_figures",
    "bootstrap_intervals",
    "calibration",
    "paired_bootstrap",
    "resampled",
    "risk_coverage",
    "threshold_at_risk",
]

Interval = tuple[float, float]

_CHUNK = 50  # resamples at a time: 50 x 10,000 questions of int64 are 4 MB


class RiskCoverage(NamedTuple):
    """The risk (share of wrong answers) among the most confident share of questions, arrays of shape (n_points,)."""

    coverage: NDArray[np.float64]
    risk: NDArray[np.float64]
    aurc: float


class Calibration(NamedTuple):
    """Equally wide bins of confidence: arrays of shape (n_bins,), NaN where a bin is empty, and the expected error."""

    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    counts: NDArray[np.int64]
    ece: float


def bootstrap_intervals(
    values: NDArray[np.float64], resamples: int = 1000, seed: int = 0, level: float = 0.95
) -> NDArray[np.float64]:
    """Percentile intervals of the column means of `values`, by drawing questions with replacement.

    `values` is (n_questions, n_metrics); NaN marks a question that a metric leaves out. Returns (n_metrics, 2): lower
    and upper end, NaN where a metric has no value.

    >>> bootstrap_intervals(np.array([[1.0], [1.0], [1.0]])).tolist()
    [[1.0, 1.0]]

    Reference: Efron and Tibshirani 1993, An Introduction to the Bootstrap, section 13.3.
    """
    return _percentiles(_resampled_means(values, resamples, seed), level)


def paired_bootstrap(
    gaps: NDArray[np.float64], resamples: int = 1000, seed: int = 0, level: float = 0.95
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Means of paired differences (n_questions, n_metrics), their percentile intervals, and two-sided p-values.

    A p-value is twice the smaller share of resamples whose mean lies on one side of 0 (half of those at 0), at least
    1 / (resamples + 1). Returns (n_metrics,), (n_metrics, 2), (n_metrics,).

    >>> [a.tolist() for a in paired_bootstrap(np.array([[0.5], [0.5], [0.5]]), resamples=99)]
    [[0.5], [[0.5, 0.5]], [0.01]]

    Reference: Efron and Tibshirani 1993, An Introduction to the Bootstrap, section 15.4.
    """
    sampled = _resampled_means(gaps, resamples, seed)
    with np.errstate(invalid="ignore"):
        means = np.nansum(gaps, axis=0) / np.isfinite(gaps).sum(axis=0)
    n = np.isfinite(sampled).sum(axis=0)  # a resample of questions that have no value counts on neither side
    below = ((sampled < 0).sum(axis=0) + 0.5 * (sampled == 0).sum(axis=0) + 0.5) / (n + 1)
    p = np.clip(2 * np.minimum(below, 1 - below), 1 / (n + 1), 1.0)
    return means, _percentiles(sampled, level), np.where(np.isfinite(means), p, np.nan)


def _resampled_means(values: NDArray[np.float64], resamples: int, seed: int) -> NDArray[np.float64]:
    """Column means of resampled questions, (resamples, n_metrics); NaN where a metric has no value."""
    n_questions, n_metrics = values.shape
    if n_questions == 0:
        return np.full((resamples, n_metrics), np.nan)
    present = np.isfinite(values).astype(np.float64)
    filled = np.nan_to_num(values)
    with np.errstate(invalid="ignore"):
        return np.concatenate(
            [(drawn @ filled) / (drawn @ present) for drawn in resampled(n_questions, resamples, seed)]
        )


def resampled(n_questions: int, resamples: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Draw questions with replacement: how often each is in each resample, (n, n_questions), some resamples at a time.

    The same arguments give the same draws, so that figures of the same questions fit together.
    """
    rng = np.random.default_rng(seed)
    for start in range(0, resamples, _CHUNK):
        size = min(_CHUNK, resamples - start)
        yield rng.multinomial(n_questions, np.full(n_questions, 1 / n_questions), size=size)


def _percentiles(sampled: NDArray[np.float64], level: float) -> NDArray[np.float64]:
    ends = np.full((sampled.shape[1], 2), np.nan)
    for column in np.flatnonzero(np.isfinite(sampled).any(axis=0)):
        ends[column] = np.nanquantile(sampled[:, column], [(1 - level) / 2, (1 + level) / 2])
    return ends


def bootstrap_figures(
    figures: Callable[[NDArray[np.int64]], Mapping[str, float]],
    n_questions: int,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Interval]:
    """Percentile intervals of figures that are no means, by drawing questions with replacement.

    `figures` computes them from the numbers of the questions that count, (n_questions,), so what it chooses by these
    questions is chosen anew each time. NaN where a figure has no value.
    """
    rng = np.random.default_rng(seed)
    drawn = [figures(rng.integers(n_questions, size=n_questions)) for _ in range(resamples if n_questions else 0)]
    return {name: _ends(np.array([d[name] for d in drawn]), level) for name in (drawn[0] if drawn else ())}


def _ends(values: NDArray[np.float64], level: float) -> Interval:
    values = values[~np.isnan(values)]
    if not len(values):
        return float("nan"), float("nan")
    # Not between two values: a threshold can be infinite.
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
    return float(low), float(high)


def risk_coverage(confidence: NDArray[np.float64], correct: NDArray[np.float64], points: int = 100) -> RiskCoverage:
    """Sort by confidence and follow the share of wrong answers as less and less confident ones are let in.

    Both arguments are (n_questions,); `correct` lies from 0 to 1. Questions of equal confidence share their mean, so
    their order does not matter. AURC is the mean risk over all n_questions coverages; the curve is thinned to `points`.

    >>> risk_coverage(np.array([0.9, 0.2]), np.array([1.0, 0.0]), points=2)
    RiskCoverage(coverage=array([0.5, 1. ]), risk=array([0. , 0.5]), aurc=0.25)

    Reference: Geifman, Uziel and El-Yaniv 2019, arXiv:1805.08206, section 3.
    """
    n_questions = len(confidence)
    if n_questions == 0:
        return RiskCoverage(np.empty(0), np.empty(0), float("nan"))
    _, group = np.unique(-confidence, return_inverse=True)
    shared = (np.bincount(group, correct) / np.bincount(group))[np.sort(group)]
    risk = 1.0 - np.cumsum(shared) / np.arange(1, n_questions + 1)
    kept = np.unique(np.ceil(np.arange(1, points + 1) * n_questions / points).astype(np.int64))
    return RiskCoverage(kept / n_questions, risk[kept - 1], float(risk.mean()))


def threshold_at_risk(confidence: NDArray[np.float64], correct: NDArray[np.float64], tolerated: float) -> float:
    """Give the lowest confidence such that of the answers at least this sure at most `tolerated` are wrong.

    Both arrays are (n_questions,). Infinity where no threshold keeps the risk.

    >>> threshold_at_risk(np.array([0.9, 0.8, 0.2]), np.array([1.0, 1.0, 0.0]), 0.05)
    0.8
    """
    order = np.argsort(-confidence, kind="stable")
    sorted_confidence = confidence[order]
    risk = np.cumsum(1.0 - correct[order]) / np.arange(1, len(order) + 1)
    # Questions of equal confidence are let in together or not at all.
    is_last = np.append(sorted_confidence[1:] != sorted_confidence[:-1], True)[: len(order)]
    kept = np.flatnonzero((risk <= tolerated) & is_last)
    return float(sorted_confidence[kept[-1]]) if len(kept) else float("inf")


def calibration(confidence: NDArray[np.float64], correct: NDArray[np.float64], bins: int = 10) -> Calibration:
    """Compare confidence with accuracy in equally wide bins; ECE is the mean gap, weighed by the bins' sizes.

    >>> round(calibration(np.array([0.9, 0.9]), np.array([1.0, 0.0])).ece, 3)
    0.4

    Reference: Guo et al. 2017, arXiv:1706.04599, equation 3.
    """
    place = np.clip((confidence * bins).astype(np.int64), 0, bins - 1)
    counts = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        mean_confidence = np.bincount(place, confidence, bins) / counts
        accuracy = np.bincount(place, correct, bins) / counts
    gap = np.nan_to_num(np.abs(mean_confidence - accuracy))
    ece = float((gap * counts).sum() / counts.sum()) if counts.sum() else float("nan")
    return Calibration(mean_confidence, accuracy, counts, ece)
