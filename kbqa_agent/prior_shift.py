"""Probabilities that hold for one share of answerable questions, said for another.

Whether a question can be answered depends on what is asked as well as on the wording: where nine of ten can, the same
doubtful match is more probably the answer than where half can. Only the odds before looking differ, so the odds after
looking are multiplied by the ratio of both.

Reference: Saerens, Latinne and Decaestecker 2002, Adjusting the Outputs of a Classifier to New a Priori Probabilities,
Neural Computation 14, equations 2.4 (the shift) and 2.9 (the share by expectation and maximisation).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["estimated_share", "shifted"]

HALVINGS = 30


def shifted(present: NDArray[np.float64], share: float, before: float) -> NDArray[np.float64]:
    """Say probabilities of being answerable, (n,), which hold where the share `before` is, for the share `share`.

    >>> shifted(np.array([0.5, 0.1]), share=0.9, before=0.5).round(3).tolist()
    [0.9, 0.5]
    """
    there, absent = present * share * (1 - before), (1 - present) * (1 - share) * before
    total = there + absent
    # Both are 0 where one of them was certain and the other is now; what was seen then counts.
    return np.where(total > 0, there / np.where(total > 0, total, 1.0), present)


def estimated_share(present: NDArray[np.float64], before: float) -> float:
    """Estimate which share of many questions is answerable from their probabilities (n,) alone, without any answer.

    It is the share that the probabilities have as their mean when they are said for it, which is where expectation and
    maximisation ends; as the likelihood has one summit, halving the way finds it. NaN without a question, or where
    `before` is 0 or 1, which leaves no doubt to tell anything.

    >>> round(estimated_share(np.array([0.999] * 9 + [0.001]), before=0.5), 2)
    0.9
    """
    if not len(present) or not 0.0 < before < 1.0:
        return float("nan")
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        share = (low + high) / 2
        low, high = (share, high) if shifted(present, share, before).mean() > share else (low, share)
    return (low + high) / 2
