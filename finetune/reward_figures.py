"""How good a reward model is: the share of held-out pairs that it orders rightly, with its interval, and its curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kb_index.errors import MissingExtraError

__all__ = ["Accuracy", "Margins", "accuracy_with_interval", "pair_accuracy", "reward_curve"]


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


def reward_curve(runs: Mapping[str, Sequence[Mapping[str, float]]]) -> Any:
    """Draw loss and held-out accuracy over steps, from the lines of each run's `metrics.jsonl`, by its name.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("eval", "matplotlib") from error
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for number, (name, lines) in enumerate(runs.items()):
        for axes, key, mark, label in (
            (left, "loss", "-", f"{name}: training"),
            (left, "validation_loss", "o--", f"{name}: held out"),
            (right, "held_out_accuracy", "o-", name),
        ):
            points = [(line["step"], line[key]) for line in lines if key in line]
            if points:
                axes.plot(*zip(*points, strict=True), mark, color=f"C{number}", label=label)
    right.axhline(0.5, color="grey", linewidth=1)
    left.set(xlabel="step", ylabel="loss (nats a pair)")
    right.set(xlabel="step", ylabel="accuracy on held-out pairs", ylim=(0, 1))
    for axes in (left, right):
        axes.grid(alpha=0.3)
        if axes.get_legend_handles_labels()[0]:
            axes.legend()
    return figure


def _hits(margins: Margins) -> NDArray[np.float64]:
    return np.where(margins.margins == 0, 0.5, margins.margins > 0)
