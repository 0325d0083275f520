"""Ties: closed forms against every order of the tied items, and parity with ir-measures over all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain, groupby, permutations, product

import ir_measures
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ir_measures import AP, RR, Success

from eval.ranking import average_precision, hits_at_k, reciprocal_rank, triple_average_precision
from eval.ties import Tie, expected_average_precision, expected_hits, expected_reciprocal_rank, ties_of

ANSWERS = "甲乙丙丁戊己"
tied_scores = st.lists(st.sampled_from([0.1, 0.3, 0.6]), min_size=1, max_size=6).map(lambda s: sorted(s, reverse=True))
golds = st.sets(st.sampled_from(ANSWERS + "庚"), min_size=1, max_size=3)


def orders(scores: Sequence[float]) -> list[list[str]]:
    """Every ranking that the scores allow, each as likely as any other."""
    groups = [[ANSWERS[i] for i, _ in group] for _, group in groupby(enumerate(scores), key=lambda pair: pair[1])]
    return [list(chain(*order)) for order in product(*map(permutations, groups))]


@given(scores=tied_scores, gold=golds, k=st.integers(1, 7))
@settings(deadline=None)
def test_closed_forms_are_the_means_over_all_orders(scores: list[float], gold: set[str], k: int) -> None:
    candidates, every = ANSWERS[: len(scores)], orders(scores)

    def mean(metric: Callable[[Sequence[str]], float]) -> float:
        return float(np.mean([metric(order) for order in every]))

    assert reciprocal_rank(candidates, gold, scores) == pytest.approx(mean(lambda o: reciprocal_rank(o, gold)))
    assert average_precision(candidates, gold, scores) == pytest.approx(mean(lambda o: average_precision(o, gold)))
    assert hits_at_k(candidates, gold, k, scores) == pytest.approx(mean(lambda o: hits_at_k(o, gold, k)))


@given(scores=tied_scores, gold=golds)
@settings(max_examples=25, deadline=None)
def test_parity_with_ir_measures_over_all_orders(scores: list[float], gold: set[str]) -> None:
    every = orders(scores)
    qrels = [ir_measures.Qrel(str(n), answer, 1) for n in range(len(every)) for answer in sorted(gold)]
    run = [
        ir_measures.ScoredDoc(str(n), answer, float(-rank))
        for n, o in enumerate(every)
        for rank, answer in enumerate(o)
    ]
    reference = ir_measures.calc_aggregate([RR, AP, Success @ 1, Success @ 5], qrels, run)
    candidates = ANSWERS[: len(scores)]
    assert reciprocal_rank(candidates, gold, scores) == pytest.approx(reference[RR])
    assert average_precision(candidates, gold, scores) == pytest.approx(reference[AP])
    assert hits_at_k(candidates, gold, 1, scores) == pytest.approx(reference[Success @ 1])
    assert hits_at_k(candidates, gold, 5, scores) == pytest.approx(reference[Success @ 5])


@given(counts=st.lists(st.integers(1, 4), min_size=1, max_size=6), gold=golds)
def test_triples_are_documents_to_ir_measures(counts: list[int], gold: set[str]) -> None:
    candidates = ANSWERS[: len(counts)]
    listed = [f"{a}{n}" for a, count in zip(candidates, counts, strict=True) for n in range(count)]
    relevant = [name for name in listed if name[0] in gold] + sorted(gold - set(candidates))
    qrels = [ir_measures.Qrel("q", name, 1) for name in relevant]
    run = [ir_measures.ScoredDoc("q", name, float(-rank)) for rank, name in enumerate(listed)]
    reference = ir_measures.calc_aggregate([AP], qrels, run)[AP]
    assert triple_average_precision(candidates, counts, gold) == pytest.approx(reference)


@given(scores=tied_scores)
def test_map_is_mrr_with_one_gold_whatever_is_tied(scores: list[float]) -> None:
    candidates = ANSWERS[: len(scores)]
    for gold in ANSWERS:
        expected = reciprocal_rank(candidates, {gold}, scores)
        assert average_precision(candidates, {gold}, scores) == pytest.approx(expected)


def test_triple_level_map_differs_from_mrr_with_one_gold() -> None:
    assert triple_average_precision(["甲", "乙"], [1, 1], {"甲"}) == 1.0
    # Two wrong triples push both right ones down: ranks 3 and 4; the answer's rank is 2.
    assert triple_average_precision(["乙", "甲"], [2, 2], {"甲"}) == pytest.approx((1 / 3 + 2 / 4) / 2)
    assert reciprocal_rank(["乙", "甲"], {"甲"}) == 0.5
    # It can be higher, too: ranks 2 and 3.
    assert triple_average_precision(["乙", "甲"], [1, 2], {"甲"}) == pytest.approx((1 / 2 + 2 / 3) / 2)
    # Equal answers are not joined, and a gold answer that is in no triple counts as one that is missed.
    assert triple_average_precision(["甲", "乙", "甲"], [1, 1, 1], {"甲"}) == pytest.approx((1 + 2 / 3) / 2)
    assert triple_average_precision(["甲"], [2], {"甲", "丙"}) == pytest.approx(2 / 3)
    # All triples of equal score are tied: one right among three.
    assert triple_average_precision(["乙", "甲"], [2, 1], {"甲"}, [0.4, 0.4]) == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)


def test_only_neighbours_of_equal_score_are_tied() -> None:
    items = [Tie(1, 0), Tie(1, 1), Tie(2, 1), Tie(1, 1)]
    assert ties_of(items, [0.5, 0.3, 0.3, 0.5]) == [Tie(1, 0), Tie(3, 2), Tie(1, 1)]
    assert ties_of(items, None) == items
    assert ties_of([], []) == []


def test_nothing_right_and_nothing_listed() -> None:
    for ties in ([], [Tie(3, 0)]):
        assert expected_reciprocal_rank(ties) == expected_hits(ties, 5) == expected_average_precision(ties, 1) == 0.0
    assert expected_average_precision([Tie(1, 0)], 0) == 0.0
    assert expected_hits([Tie(4, 0), Tie(2, 1)], 4) == 0.0
