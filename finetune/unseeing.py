"""Which questions the statistics learn from that a training question's features are made with.

Features have to look as they will for users' questions. So the statistics never saw the question, nor any of its
stretch of the file, as neighbours are alike; and where users will ask for attributes that the file does not ask for,
some of the training questions are shown with statistics that never saw their attribute.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Unseeing", "stretches", "unseeing"]

ATTRIBUTE_GROUPS = 5
"""The attributes are in so many groups: a question that is to find its own unknown is shown with the statistics that
miss its group, and knows four fifths of the others."""


class Unseeing(NamedTuple):
    """Numbers of the questions that are shown with some statistics, and of those from which these are counted."""

    shown: NDArray[np.int64]
    counted: NDArray[np.int64]


def stretches(n: int, n_stretches: int) -> NDArray[np.int64]:
    """The stretch that each of n neighbouring questions is in, (n,); each alone where they are too few."""
    numbers: NDArray[np.int64] = np.arange(n) * min(n, n_stretches) // max(1, n)
    return numbers


def unseeing(attributes: Sequence[str | None], folds: int, new_attributes: float, seed: int) -> list[Unseeing]:
    """Divide questions, each given by the attribute that it asks for (None: unknown), among statistics.

    Each of the `folds` is one stretch of the file. `new_attributes` is the share of the asked attributes that are new
    to the statistics which the questions for them are shown with.
    """
    fold_of = stretches(len(attributes), folds)
    distinct = {a: i for i, a in enumerate(dict.fromkeys(a for a in attributes if a is not None))}
    number = np.array([-1 if a is None else distinct[a] for a in attributes], np.int64)
    order = np.random.default_rng(seed).permutation(len(distinct))
    group, is_new = order % ATTRIBUTE_GROUPS, order < new_attributes * len(distinct)
    group_of = np.where(number >= 0, np.append(group, -1)[number], -1)
    hidden = np.where(np.append(is_new, False)[number], group_of, -1)  # a question's group, if its attribute is new
    return [
        Unseeing(np.flatnonzero(shown), np.flatnonzero((fold_of != fold) & ((group_of != its) | (its < 0))))
        for fold in np.unique(fold_of)
        for its in range(-1, ATTRIBUTE_GROUPS)
        if (shown := (fold_of == fold) & (hidden == its)).any()
    ]
