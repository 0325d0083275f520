"""RAFT's two rankings and its filter, as pure functions of the rewards; nothing here knows what is rewarded."""

from __future__ import annotations

import random

import numpy as np
from numpy.typing import NDArray

__all__ = ["best_of_batch", "best_of_each", "undecided"]


def best_of_each(rewards: NDArray[np.float64], seed: int = 0) -> list[tuple[int, int]]:
    """Give (prompt, sample) of the best sample of each prompt, in the order of the prompts.

    `rewards` is (n_prompts, K). Equal rewards are told apart by `seed`.

    >>> best_of_each(np.array([[0.2, 0.9, 0.5], [1.0, -0.5, 0.0]]))
    [(0, 1), (1, 0)]

    Reference: Dong et al. 2023, arXiv:2304.06767, Algorithm 1: of K samples of a prompt one is accepted.
    """
    n_prompts, k = rewards.shape
    lots = _lots(n_prompts * k, seed).reshape(n_prompts, k)
    return [(i, int(np.lexsort((lots[i], -rewards[i]))[0])) for i in range(n_prompts)] if k else []


def best_of_batch(rewards: NDArray[np.float64], n_kept: int, seed: int = 0) -> list[tuple[int, int]]:
    """Give (prompt, sample) of the `n_kept` best samples of the whole batch, best first.

    `rewards` is (n_prompts, K). Equal rewards are told apart by `seed`.

    >>> best_of_batch(np.array([[0.2, 0.9, 0.5], [1.0, -0.5, 0.0]]), 3)
    [(1, 0), (0, 1), (0, 2)]

    Reference: Dong et al. 2023, arXiv:2304.06767, in its first form: one sample of each of b prompts, of which the
    floor(b/k) best are accepted.
    """
    order = np.lexsort((_lots(rewards.size, seed), -rewards.ravel()))[:n_kept]
    return [(int(place) // rewards.shape[1], int(place) % rewards.shape[1]) for place in order]


def undecided(right: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tell which prompts have both right and wrong samples, (n_prompts,), from (n_prompts, K).

    >>> undecided(np.array([[True, False], [True, True], [False, False]])).tolist()
    [True, False, False]
    """
    n_right: NDArray[np.int64] = right.sum(axis=1)
    found: NDArray[np.bool_] = np.logical_and(n_right > 0, n_right < right.shape[1])
    return found


def _lots(n: int, seed: int) -> NDArray[np.int64]:
    return np.array(random.Random(seed).sample(range(n), n), dtype=np.int64)
