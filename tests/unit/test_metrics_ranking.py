"""Rank metrics: worked examples, and parity with ir-measures on random rankings."""

from __future__ import annotations

import ir_measures
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ir_measures import AP, RR, Success

from eval.ranking import average_precision, first_rank, hits_at_k, reciprocal_rank


def test_nothing_right() -> None:
    assert first_rank(["甲", "乙"], {"丙"}) is None
    assert reciprocal_rank(["甲", "乙"], {"丙"}) == 0.0
    assert average_precision(["甲", "乙"], {"丙"}) == 0.0
    assert hits_at_k(["甲", "乙"], {"丙"}, 5) == 0.0


def test_no_candidates_and_no_gold() -> None:
    assert reciprocal_rank([], {"甲"}) == average_precision([], {"甲"}) == hits_at_k([], {"甲"}, 1) == 0.0
    assert average_precision(["甲"], set()) == 0.0


def test_a_gold_answer_that_is_not_found_lowers_average_precision() -> None:
    assert average_precision(["甲"], {"甲", "乙"}) == 0.5


def test_repeated_answers_take_one_rank() -> None:
    assert reciprocal_rank(["乙", "乙", "乙", "甲"], {"甲"}) == 0.5


def test_strings_are_compared_exactly() -> None:
    assert reciprocal_rank(["李白 ", "李白"], {"李白"}) == 0.5


answers = st.sampled_from("甲乙丙丁戊己庚辛")
rankings = st.lists(answers, unique=True, min_size=1)


@given(candidates=rankings, gold=answers)
def test_map_is_mrr_with_one_gold(candidates: list[str], gold: str) -> None:
    assert average_precision(candidates, {gold}) == reciprocal_rank(candidates, {gold})


@given(candidates=rankings, gold=st.sets(answers, min_size=1))
def test_parity_with_ir_measures(candidates: list[str], gold: set[str]) -> None:
    qrels = [ir_measures.Qrel("q", answer, 1) for answer in sorted(gold)]
    run = [ir_measures.ScoredDoc("q", answer, float(-rank)) for rank, answer in enumerate(candidates)]
    reference = ir_measures.calc_aggregate([RR, AP, Success @ 1, Success @ 5], qrels, run)
    assert reciprocal_rank(candidates, gold) == pytest.approx(reference[RR])
    assert average_precision(candidates, gold) == pytest.approx(reference[AP])
    assert hits_at_k(candidates, gold, 1) == reference[Success @ 1]
    assert hits_at_k(candidates, gold, 5) == reference[Success @ 5]
