"""Expected values of rank metrics where items are tied: exact means over all orders of the items of equal score.

A ranking is a list of `Tie`s, best first; an item alone at its score is a tie of one. Which of several equal items
comes first is chance, or an accident of the program, so no figure may depend on it.

Reference: McSherry and Najork 2008, Computing Information Retrieval Performance Measures Efficiently in the Presence of
Tied Scores, ECIR, section 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb
from typing import NamedTuple

__all__ = ["Tie", "expected_average_precision", "expected_hits", "expected_reciprocal_rank", "ties_of"]


class Tie(NamedTuple):
    """Items of equal score: how many there are, and how many of them are right."""

    size: int
    right: int


def ties_of(items: Sequence[Tie], scores: Sequence[float] | None) -> list[Tie]:
    """Join neighbours of equal score; without scores the order is strict and nothing is joined.

    >>> ties_of([Tie(1, 0), Tie(1, 1), Tie(1, 0)], [0.5, 0.5, 0.1])
    [Tie(size=2, right=1), Tie(size=1, right=0)]
    """
    if scores is None:
        return list(items)
    joined: list[Tie] = []
    last = None
    for item, score in zip(items, scores, strict=True):
        if score == last:
            size, right = joined.pop()
            item = Tie(size + item.size, right + item.right)  # noqa: PLW2901 - it grows
        joined.append(item)
        last = score
    return joined


def expected_reciprocal_rank(ties: Sequence[Tie]) -> float:
    """Return the mean of 1 / rank of the first right item, 0 where none is right.

    The first right one of r among n tied items stands k-th with probability C(n - k, r - 1) / C(n, r).

    >>> expected_reciprocal_rank([Tie(1, 0), Tie(2, 1)]) == (1 / 2 + 1 / 3) / 2
    True
    """
    before = 0
    for size, right in ties:
        if right:
            places = range(1, size - right + 2)
            return sum(comb(size - k, right - 1) / comb(size, right) / (before + k) for k in places)
        before += size
    return 0.0


def expected_hits(ties: Sequence[Tie], k: int) -> float:
    """Return the probability that a right item is among the first `k`.

    >>> expected_hits([Tie(1, 0), Tie(3, 1)], 2) == 1 / 3
    True
    """
    before = 0
    for size, right in ties:
        if right:
            seen = min(max(k - before, 0), size)
            return (comb(size, right) - comb(size - seen, right)) / comb(size, right)
        before += size
    return 0.0


def expected_average_precision(ties: Sequence[Tie], n_relevant: int) -> float:
    """Return the mean of the average precision, over `n_relevant` right items, found or not.

    The k-th of n tied items, r of them right, is right with probability r / n, and then (k - 1)(r - 1) / (n - 1) of
    those above it in the tie are right on average.

    >>> expected_average_precision([Tie(2, 1)], n_relevant=1)
    0.75
    """
    before, found, total = 0, 0, 0.0
    for size, right in ties:
        if right:
            above = (right - 1) / max(size - 1, 1)
            total += sum((1 + found + k * above) / (before + k + 1) for k in range(size)) * right / size
        before += size
        found += right
    return total / n_relevant if n_relevant else 0.0
