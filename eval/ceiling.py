"""What an oracle could reach that knows the right subject name and predicate and must guess among homonyms.

Its candidates for a question are the objects of the gold triple's predicate over all entities of the gold triple's
subject name. It knows nothing more, so they are all tied, and each figure is the exact expected value over all orders
of them. What stands above the ceiling was guessed, or known from the question's context.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from eval.corpus import N_STATISTICS, bleu_row
from eval.metrics import METRICS, text_scores
from eval.official import FORMS
from eval.ties import Tie, expected_average_precision, expected_hits, expected_reciprocal_rank
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


def oracle_rows(kb: HomonymLookup, examples: Sequence[QAExample]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give the oracle's scores and statistics for BLEU of the examples that have a triple and an answer.

    Returns `oracle_scores` (n_usable, n_metrics) and the mean `bleu_row` of its candidates (n_usable, `N_STATISTICS`).
    """
    usable = [e for e in examples if e.triple is not None and e.answers]
    scores: list[NDArray[np.float64]] = []
    statistics: list[NDArray[np.float64]] = []
    starts = range(0, len(usable), _QUESTIONS_PER_LOOKUP)
    for start in tqdm(starts, desc="ceiling", unit_scale=_QUESTIONS_PER_LOOKUP, unit="question", disable=None):
        chunk = usable[start : start + _QUESTIONS_PER_LOOKUP]
        for objects, example in zip(oracle_candidates(kb, chunk), chunk, strict=True):
            scores.append(oracle_scores(objects, example.answers))
            statistics.append(_oracle_statistics(objects, example.answers))
    n = len(usable)
    return np.array(scores).reshape(n, len(METRICS)), np.array(statistics).reshape(n, N_STATISTICS)


def oracle_candidates(kb: HomonymLookup, examples: Sequence[QAExample]) -> list[tuple[str, ...]]:
    """Collect the objects, one a triple, of each gold predicate over all entities of the gold subject's name."""
    wanted = [e.triple or ("", "", "") for e in examples]
    entities = {name: [e.id for e in kb.entities_named(name)] for name in {subject for subject, _, _ in wanted}}
    objects: defaultdict[tuple[int, str], list[str]] = defaultdict(list)
    for triple in kb.triples_of(sorted({i for ids in entities.values() for i in ids})):
        objects[triple.subject_id, normalize_attribute(triple.predicate)].append(triple.object)
    return [
        tuple(o for i in entities[subject] for o in objects.get((i, normalize_attribute(predicate)), ()))
        for subject, predicate, _ in wanted
    ]


def oracle_scores(objects: Sequence[str], gold: Sequence[str]) -> NDArray[np.float64]:
    """Return the expected value of each of `METRICS`, (n_metrics,), over all orders of the objects.

    `objects` has one for each triple; equal ones are one candidate. The oracle hands in as many answers as make its
    expected F1 largest; the text metrics are those of a random first candidate.

    >>> dict(zip(METRICS, oracle_scores(["1999年", "2005年"], ["2005年"]).tolist()))["mrr"]
    0.75
    """
    wanted, triples = set(map(comparable, gold)), [comparable(o) for o in objects]
    candidates = dict.fromkeys(triples)
    tied = [Tie(len(candidates), len(wanted.intersection(candidates)))]
    tied_triples = [Tie(len(triples), sum(o in wanted for o in triples))]
    if not candidates:
        return np.zeros(len(METRICS))
    return np.array(
        [
            expected_reciprocal_rank(tied),
            expected_average_precision(tied, len(wanted)),
            expected_average_precision(tied_triples, tied_triples[0].right + len(wanted.difference(candidates))),
            expected_hits(tied, 1),
            expected_hits(tied, 5),
            *(_expected_f1(set(map(form, objects)), set(map(form, gold))) for form in FORMS.values()),
            *np.mean([text_scores(c, gold) for c in candidates], axis=0),
        ]
    )


def _expected_f1(candidates: set[str], gold: set[str]) -> float:
    # k answers at random hold k x right / n right ones on average, and F1 is 2 x right ones / (k + n_gold).
    n, right = len(candidates), len(candidates & gold)
    return max(2 * (k * right / n) / (k + len(gold)) for k in range(1, n + 1))


def _oracle_statistics(objects: Sequence[str], gold: Sequence[str]) -> NDArray[np.float64]:
    """Average `bleu_row` over the candidates that may come first, an empty answer where there is none."""
    wanted = set(map(comparable, gold))
    candidates = dict.fromkeys(map(comparable, objects)) or [""]
    rows = np.array([bleu_row(c, wanted) for c in candidates])
    return np.asarray(rows.mean(axis=0), dtype=np.float64)
