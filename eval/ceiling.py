"""What an oracle could reach that knows the right subject name and predicate and must guess among homonyms.

Its candidates for a question are the distinct objects of the gold triple's predicate over all entities of the gold
triple's subject name. It knows nothing more, so every order of them is equally likely, and each figure is the exact
expected value over these orders. What stands above the ceiling was guessed, or known from the question's context.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from math import comb
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from eval.metrics import METRICS
from eval.text import bleu, rouge
from kb_index.normalize import normalize_attribute
from kb_index.types import Entity, Triple
from kbqa_agent.qa_data import comparable
from kbqa_agent.types import QAExample

__all__ = ["HomonymLookup", "oracle_candidates", "oracle_rows", "oracle_scores"]

_QUESTIONS_PER_LOOKUP = 200


class HomonymLookup(Protocol):
    """The two look-ups of a knowledge base that the oracle needs."""

    def entities_named(self, name: str) -> list[Entity]:
        """All entities that have this name or alias."""

    def triples_of(self, entity_ids: Sequence[int]) -> list[Triple]:
        """All triples whose subject is one of the entities."""


def oracle_rows(kb: HomonymLookup, examples: Sequence[QAExample]) -> NDArray[np.float64]:
    """`oracle_scores` of the examples that have a triple and an answer, (n_usable, n_metrics)."""
    usable = [e for e in examples if e.triple is not None and e.answers]
    rows: list[NDArray[np.float64]] = []
    starts = range(0, len(usable), _QUESTIONS_PER_LOOKUP)
    for start in tqdm(starts, desc="ceiling", unit_scale=_QUESTIONS_PER_LOOKUP, unit="question", disable=None):
        chunk = usable[start : start + _QUESTIONS_PER_LOOKUP]
        found = oracle_candidates(kb, chunk)
        rows += [
            oracle_scores(objects, [comparable(a) for a in e.answers]) for objects, e in zip(found, chunk, strict=True)
        ]
    return np.array(rows).reshape(len(rows), len(METRICS))


def oracle_candidates(kb: HomonymLookup, examples: Sequence[QAExample]) -> list[tuple[str, ...]]:
    """Collect the distinct objects of each example's gold predicate over all entities of its gold subject's name."""
    wanted = [e.triple or ("", "", "") for e in examples]
    entities = {name: [e.id for e in kb.entities_named(name)] for name in {subject for subject, _, _ in wanted}}
    objects: defaultdict[tuple[int, str], list[str]] = defaultdict(list)
    for triple in kb.triples_of(sorted({i for ids in entities.values() for i in ids})):
        objects[triple.subject_id, normalize_attribute(triple.predicate)].append(comparable(triple.object))
    return [
        tuple(dict.fromkeys(o for i in entities[subject] for o in objects.get((i, normalize_attribute(predicate)), ())))
        for subject, predicate, _ in wanted
    ]


def oracle_scores(candidates: Sequence[str], gold: Sequence[str]) -> NDArray[np.float64]:
    """Return the expected value of each of `METRICS`, (n_metrics,), over all orders of the distinct candidates.

    The oracle hands in as many answers as make its expected F1 largest; the text metrics are those of a random first.

    >>> dict(zip(METRICS, oracle_scores(["1999年", "2005年"], ["2005年"]).tolist()))["mrr"]
    0.75
    """
    n, golds = len(candidates), set(gold)
    right = len(golds.intersection(candidates))
    if right == 0:
        return np.zeros(len(METRICS))
    ranks = np.arange(1, n + 1)
    first_at = np.array([comb(n - k, right - 1) / comb(n, right) for k in range(1, n + 1)])  # P(first right one at k)
    others_before = (ranks - 1) * (right - 1) / max(n - 1, 1)  # expected right ones above a right one at this rank
    texts = [(bleu(c, golds), *rouge(c, golds)) for c in candidates]
    return np.array(
        [
            (first_at / ranks).sum(),
            ((1 + others_before) / ranks).sum() * right / n / len(golds),
            first_at[:1].sum(),
            first_at[:5].sum(),
            _expected_f1(n, right, len(golds)),
            right / n,
            *np.mean(texts, axis=0),
        ]
    )


def _expected_f1(n: int, right: int, n_gold: int) -> float:
    # k answers at random hold k x right / n right ones on average, and F1 is 2 x right ones / (k + n_gold).
    return max(2 * (k * right / n) / (k + n_gold) for k in range(1, n + 1))
