"""What was kept of every answer -> the figures of a report, each with its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.corpus import bootstrap_corpus_bleu, corpus_bleu
from eval.metrics import METRICS
from eval.unanswerable import Judged
from eval.uncertainty import Calibration, Interval, bootstrap_figures, bootstrap_intervals, calibration, risk_coverage
from kbqa_agent.prior_shift import estimated_share, shifted

__all__ = ["Asked", "calibration_of", "confidence_figures", "expectation_figures", "metric_figures"]

_EXACT = METRICS.index("exact_match")


@dataclass(frozen=True, slots=True)
class Asked:
    """What is kept of one answer: scores (one for each of `METRICS`), what is handed in, confidence, rank.

    `bleu` is its `eval.corpus.bleu_row`, `total` the probability of all its candidates together, `judged` its part in
    the test of silence.
    """

    scores: tuple[float, ...]
    bleu: tuple[float, ...]
    handed_in: tuple[str, ...]
    confidence: float
    total: float
    abstained: bool
    rank: int | None
    judged: Judged


def metric_figures(
    scores: NDArray[np.float64],
    bleu: NDArray[np.float64],
    resamples: int,
    seed: int,
    names: Sequence[str] = METRICS,
) -> tuple[Mapping[str, float], Mapping[str, Interval]]:
    """The mean of each metric over questions, NaN left out, then `bleu_corpus`; and the interval of each.

    `scores` is (n_questions, n_metrics), a column for each of `names`; `bleu` holds `bleu_row`s.
    """
    with np.errstate(invalid="ignore"):
        found = np.nan_to_num(scores).sum(axis=0) / np.isfinite(scores).sum(axis=0)
    ends = bootstrap_intervals(scores, resamples, seed).tolist()
    figures = dict(zip(names, found.tolist(), strict=True))
    intervals = {name: (low, high) for name, (low, high) in zip(names, ends, strict=True)}
    figures["bleu_corpus"] = float(corpus_bleu(bleu.sum(axis=0)))
    intervals["bleu_corpus"] = bootstrap_corpus_bleu(bleu, resamples, seed)
    return figures, intervals


def confidence_figures(asked: Sequence[Asked], resamples: int, seed: int) -> dict[str, Any]:
    """Compute what `report.json` holds under `risk_coverage`."""
    confidence, right, told = _columns(asked)
    # Abstaining is the least confident that an answer can be, whatever probability comes with it.
    ordered = np.where(told, confidence, -1.0)
    curve = risk_coverage(ordered, right)

    def figures(drawn: NDArray[np.int64]) -> Mapping[str, float]:
        answered = drawn[told[drawn]]
        return {
            "aurc": risk_coverage(ordered[drawn], right[drawn]).aurc,
            "ece": calibration(confidence[answered], right[answered]).ece,
        }

    return {
        "aurc": curve.aurc,
        "ece": calibration_of(asked).ece,
        "intervals": bootstrap_figures(figures, len(asked), resamples, seed),
        "coverage": curve.coverage.tolist(),
        "risk": curve.risk.tolist(),
    }


def calibration_of(asked: Sequence[Asked]) -> Calibration:
    """Confidence against accuracy, of the answers that were told."""
    confidence, right, told = _columns(asked)
    return calibration(confidence[told], right[told])


def expectation_figures(asked: Sequence[Asked], expected: float, resamples: int, seed: int) -> dict[str, Any]:
    """Compute what `report.json` holds under `answerable`, for confidences that are said for the share `expected`.

    `estimated` is the share that the probabilities of all questions tell together, without any gold answer, and
    `ece_if_told` the calibration error had that been expected. No answer changes: who asks one question has no others.
    """
    confidence, right, told = _columns(asked)
    total = np.array([a.total for a in asked])

    def figures(drawn: NDArray[np.int64]) -> Mapping[str, float]:
        share = estimated_share(total[drawn], expected)
        answered = drawn[told[drawn]]
        if np.isnan(share):
            return {"estimated": share, "ece_if_told": share}
        factor = shifted(total[answered], share, expected) / np.maximum(total[answered], 1e-12)
        said = np.minimum(1.0, confidence[answered] * factor)
        return {"estimated": share, "ece_if_told": calibration(said, right[answered]).ece}

    everything = figures(np.arange(len(asked)))
    return {"expected": expected, **everything, "intervals": bootstrap_figures(figures, len(asked), resamples, seed)}


def _columns(asked: Sequence[Asked]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Confidence, whether the answer is exactly right, and whether it was told, each (n_questions,)."""
    confidence = np.array([a.confidence for a in asked])
    right = np.array([a.scores[_EXACT] for a in asked])
    return confidence, right, np.array([not a.abstained for a in asked], np.bool_)
