"""How good a reward model is: the share of held-out pairs that it orders rightly, with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Accuracy", "Margins", "accuracy_with_interval", "pair_accuracy"]


class Margins(NamedTuple):
    """Reward of the better answer less that of the worse, and the number of the pair's prompt, both (n_pairs,)."""

    margins: NDArray[np.float64]
    prompts: NDArray[np.int64]

    @classmethod
    def of(cls, margins: Sequence[float], prompts: Sequence[int]) -> Margins:
        """Make arrays of what is not."""
        return cls(np.asarray(margins, np.float64), np.asarray(prompts, np.int64))

    @property
    def loss(self) -> float:
        """Mean of -log sigmoid(margin) over the pairs."""
        return float(np.logaddexp(0, -self.margins).mean())


class Accuracy(NamedTuple):
    """A share of pairs, and its 95 % interval."""

    share: float
    lower: float
    upper: float

    def __str__(self) -> str:
        return f"{self.share:.3f} [{self.lower:.3f}, {self.upper:.3f}]"


def pair_accuracy(margins: Margins) -> float:
    """Share of the pairs whose better answer has the higher reward; a tie is half right.

    >>> pair_accuracy(Margins.of([0.5, -1.0, 0.0, 2.0], [0, 0, 1, 2]))
    0.625
    """
    return float(_hits(margins).mean())


def accuracy_with_interval(margins: Margins, resamples: int = 1000, seed: int = 0) -> Accuracy:
    """`pair_accuracy` and its 95 % percentile interval, by drawing whole prompts with replacement.

    The pairs of one prompt share answers, so they are no independent draws.

    >>> accuracy_with_interval(Margins.of([1.0, 2.0, 0.5], [0, 0, 1]))
    Accuracy(share=1.0, lower=1.0, upper=1.0)

    Reference: Efron and Tibshirani 1993, An Introduction to the Bootstrap, section 13.3.
    """
    _, group = np.unique(margins.prompts, return_inverse=True)
    hits, counts = np.bincount(group, weights=_hits(margins)), np.bincount(group)
    drawn = np.random.default_rng(seed).integers(len(counts), size=(resamples, len(counts)))
    lower, upper = np.percentile(hits[drawn].sum(1) / counts[drawn].sum(1), [2.5, 97.5])
    return Accuracy(pair_accuracy(margins), float(lower), float(upper))


def _hits(margins: Margins) -> NDArray[np.float64]:
    return np.where(margins.margins == 0, 0.5, margins.margins > 0)
