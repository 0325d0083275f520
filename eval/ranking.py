"""Rank metrics of one question: reciprocal rank, average precision (of answers, of triples) and hits.

`candidates` are answer strings, best first. An equal string later in the list is dropped before ranks are counted, but
for `triple_average_precision`. A candidate is right when it equals a gold answer, character for character; callers
bring both into one form first. With `scores`, one for each candidate, neighbours of equal score are tied, and a figure
is the mean over all orders of them (`eval.ties`). Empty gold is the caller's affair: every function then returns 0.0.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from eval.ties import Tie, expected_average_precision, expected_hits, expected_reciprocal_rank, ties_of

__all__ = ["average_precision", "first_rank", "hits_at_k", "reciprocal_rank", "triple_average_precision"]

Scores = Sequence[float] | None

_RIGHT, _WRONG = Tie(1, 1), Tie(1, 0)


def first_rank(candidates: Sequence[str], gold: Collection[str]) -> int | None:
    """Return the rank, from 1, of the first right candidate as the list stands; None where there is none.

    >>> first_rank(["王维", "王维", "李白"], {"李白"})
    2
    """
    distinct = dict.fromkeys(candidates)
    return next((rank for rank, answer in enumerate(distinct, 1) if answer in gold), None)


def reciprocal_rank(candidates: Sequence[str], gold: Collection[str], scores: Scores = None) -> float:
    """Return 1 / rank of the first right candidate, 0 where there is none; its mean over questions is MRR.

    >>> reciprocal_rank(["杜甫", "李白"], {"李白"}), reciprocal_rank(["杜甫", "李白"], {"李白"}, [0.4, 0.4])
    (0.5, 0.75)

    Reference: Voorhees 1999, The TREC-8 Question Answering Track Report, section 2.
    """
    return expected_reciprocal_rank(_distinct(candidates, gold, scores))


def average_precision(candidates: Sequence[str], gold: Collection[str], scores: Scores = None) -> float:
    """Return the mean, over all gold answers, of the precision at each one's rank; its mean over questions is MAP.

    A gold answer that is no candidate counts as 0. With one gold answer it equals the reciprocal rank.

    >>> average_precision(["李白", "王维", "杜甫"], {"李白", "杜甫"}) == (1 / 1 + 2 / 3) / 2
    True

    Reference: Manning, Raghavan and Schütze 2008, Introduction to Information Retrieval, section 8.4.
    """
    return expected_average_precision(_distinct(candidates, gold, scores), len(set(gold)))


def triple_average_precision(
    candidates: Sequence[str], triples: Sequence[int], gold: Collection[str], scores: Scores = None
) -> float:
    """Return the average precision of a list of triples, as many for each candidate as `triples` says.

    A triple is right when its candidate is. Triples of one candidate stand together, in its place. What should be found
    are all right triples of the list, and each gold answer that is no candidate, which counts as 0. So, unlike
    `average_precision`, it falls when a wrong answer stands in several triples above a right one, and differs from the
    reciprocal rank even with one gold answer.

    >>> triple_average_precision(["杜甫", "李白"], [3, 2], {"李白"}) == (1 / 4 + 2 / 5) / 2
    True

    Reference: Manning, Raghavan and Schütze 2008, section 8.4, with a triple as the document.
    """
    items = [Tie(count, count * (answer in gold)) for answer, count in zip(candidates, triples, strict=True)]
    n_relevant = sum(item.right for item in items) + len(set(gold).difference(candidates))
    return expected_average_precision(ties_of(items, scores), n_relevant)


def hits_at_k(candidates: Sequence[str], gold: Collection[str], k: int, scores: Scores = None) -> float:
    """Return 1.0 where one of the first `k` candidates is right, else 0.0 (also called success at k).

    >>> hits_at_k(["杜甫", "李白"], {"李白"}, 1), hits_at_k(["杜甫", "李白"], {"李白"}, 5)
    (0.0, 1.0)
    >>> hits_at_k(["杜甫", "李白"], {"李白"}, 1, scores=[0.4, 0.4])
    0.5
    """
    return expected_hits(_distinct(candidates, gold, scores), k)


def _distinct(candidates: Sequence[str], gold: Collection[str], scores: Scores) -> list[Tie]:
    """Keep each answer once, at its best place and with the score it has there, and join the tied ones."""
    if scores is None:
        return [_RIGHT if answer in gold else _WRONG for answer in dict.fromkeys(candidates)]
    first: dict[str, float] = {}
    for answer, score in zip(candidates, scores, strict=True):
        first.setdefault(answer, score)
    return ties_of([_RIGHT if answer in gold else _WRONG for answer in first], list(first.values()))
