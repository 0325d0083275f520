"""BLEU of all answers together, and its interval.

It is no mean over questions: n-grams are counted over all answers first and divided then, so long answers weigh more.
Each question leaves ten numbers, and a resample of questions needs their sums only.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from eval.text import MAX_ORDER, bleu_counts
from eval.uncertainty import resampled
from kbqa_agent.qa_data import comparable

__all__ = ["N_STATISTICS", "bleu_row", "bootstrap_corpus_bleu", "corpus_bleu", "told_bleu_row"]

N_STATISTICS = 2 * MAX_ORDER + 2
"""Numbers of one question: matched n-grams and n-grams for n = 1 to 4, length, length of the gold answer."""


def bleu_row(answer: str, gold: Collection[str]) -> tuple[float, ...]:
    """Return what corpus BLEU needs of one question, (`N_STATISTICS`,); an empty answer counts with length 0.

    >>> bleu_row("男", {"男"})
    (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0)
    """
    counts = bleu_counts(answer, gold)
    return tuple(map(float, (*counts.matched, *counts.total, counts.length, counts.gold_length)))


def told_bleu_row(text: str | None, gold: Collection[str]) -> tuple[float, ...]:
    """Return the `bleu_row` of what was told, if anything was; zeros, which add nothing, without a gold answer."""
    if not gold:
        return (0.0,) * N_STATISTICS
    return bleu_row(comparable(text or ""), set(map(comparable, gold)))


def corpus_bleu(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return corpus BLEU, from 0 to 1, of sums of `bleu_row`s: (..., `N_STATISTICS`) -> (...); NaN without gold.

    exp(min(0, 1 - gold length / length)) x the geometric mean of the n-grams' precisions, as sacrebleu's `corpus_score`
    with `tokenize="char"`, `smooth_method="exp"`, `effective_order=True`. Smoothing and effective order change nothing
    where some answer shares four characters in a row with its gold answer.

    >>> rows = np.array([bleu_row("武汉大学", {"武汉理工大学"}), bleu_row("中国北京", {"中国北京"})])
    >>> corpus_bleu(rows.sum(axis=0)).round(3), corpus_bleu(rows).mean().round(3)
    (np.float64(0.526), np.float64(0.637))

    Reference: Papineni et al. 2002, BLEU, section 2.3; Chen and Cherry 2014, smoothing 3.
    """
    matched, total = sums[..., :MAX_ORDER], sums[..., MAX_ORDER : 2 * MAX_ORDER]
    length, gold_length = sums[..., -2], sums[..., -1]
    there = total > 0
    halvings = np.cumsum((matched == 0) & there, axis=-1)  # the k-th precision of zero becomes 1 / (2^k x n-grams)
    smoothed = np.where(matched > 0, matched, 0.5**halvings)
    logs = np.where(there, np.log(smoothed / np.where(there, total, 1)), 0.0)
    precision = np.exp(logs.sum(axis=-1) / np.maximum(there.sum(axis=-1), 1))
    brevity = np.exp(np.minimum(0.0, 1.0 - gold_length / np.where(length > 0, length, 1)))
    score = np.where(matched.any(axis=-1), brevity * precision, 0.0)
    return np.where(gold_length > 0, score, np.nan)


def bootstrap_corpus_bleu(
    rows: NDArray[np.float64], resamples: int = 1000, seed: int = 0, level: float = 0.95
) -> tuple[float, float]:
    """Percentile interval of corpus BLEU, from `bleu_row`s (n_questions, `N_STATISTICS`).

    Questions are drawn as `bootstrap_intervals` draws them with the same seed, so that the two fit together.

    Reference: Koehn 2004, Statistical Significance Tests for Machine Translation Evaluation, section 3.
    """
    if not rows[:, -1].any():
        return float("nan"), float("nan")
    scores = np.concatenate([corpus_bleu(drawn @ rows) for drawn in resampled(len(rows), resamples, seed)])
    low, high = np.nanquantile(scores, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
