"""Rank metrics of one question: reciprocal rank, average precision and hits.

`candidates` are answer strings, best first; an equal string later in the list is dropped before ranks are counted.
A candidate is right when it equals a gold answer, character for character; callers bring both into one form first.
Empty gold is the caller's affair: every function then returns 0.0.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

__all__ = ["average_precision", "first_rank", "hits_at_k", "reciprocal_rank"]


def first_rank(candidates: Sequence[str], gold: Collection[str]) -> int | None:
    """Return the rank, from 1, of the first right candidate; None where there is none.

    >>> first_rank(["王维", "王维", "李白"], {"李白"})
    2
    """
    distinct = dict.fromkeys(candidates)
    return next((rank for rank, answer in enumerate(distinct, 1) if answer in gold), None)


def reciprocal_rank(candidates: Sequence[str], gold: Collection[str]) -> float:
    """Return 1 / rank of the first right candidate, 0 where there is none; its mean over questions is MRR.

    >>> reciprocal_rank(["杜甫", "李白"], {"李白"})
    0.5

    Reference: Voorhees 1999, The TREC-8 Question Answering Track Report, section 2.
    """
    rank = first_rank(candidates, gold)
    return 0.0 if rank is None else 1.0 / rank


def average_precision(candidates: Sequence[str], gold: Collection[str]) -> float:
    """Return the mean, over all gold answers, of the precision at each one's rank; its mean over questions is MAP.

    A gold answer that is no candidate counts as 0. With one gold answer it equals the reciprocal rank.

    >>> average_precision(["李白", "王维", "杜甫"], {"李白", "杜甫"}) == (1 / 1 + 2 / 3) / 2
    True

    Reference: Manning, Raghavan and Schütze 2008, Introduction to Information Retrieval, section 8.4.
    """
    wanted = set(gold)
    found, total = 0, 0.0
    for rank, answer in enumerate(dict.fromkeys(candidates), 1):
        if answer in wanted:
            found += 1
            total += found / rank
    return total / len(wanted) if wanted else 0.0


def hits_at_k(candidates: Sequence[str], gold: Collection[str], k: int) -> float:
    """Return 1.0 where one of the first `k` candidates is right, else 0.0 (also called success at k).

    >>> hits_at_k(["杜甫", "李白"], {"李白"}, 1), hits_at_k(["杜甫", "李白"], {"李白"}, 5)
    (0.0, 1.0)
    """
    rank = first_rank(candidates, gold)
    return float(rank is not None and rank <= k)
