"""Probabilities for another share of answerable questions, and the share told from the probabilities alone."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbqa_agent.prior_shift import estimated_share, shifted

SHARES = st.floats(0.05, 0.95)


@given(st.lists(st.floats(0.001, 0.999), max_size=5), SHARES, SHARES)
def test_going_to_another_share_and_back_changes_nothing(present, before, share) -> None:
    there = shifted(np.array(present), share, before)
    assert shifted(there, before, share).tolist() == pytest.approx(present)
    assert shifted(np.array(present), before, before).tolist() == pytest.approx(present)


def test_the_odds_are_multiplied_by_the_ratio_of_the_odds_before() -> None:
    assert shifted(np.array([0.2, 0.5, 0.8]), 0.9, 0.5).tolist() == pytest.approx([9 / 13, 9 / 10, 36 / 37])
    assert shifted(np.array([0.2, 0.5]), 0.5, 0.9).tolist() == pytest.approx([1 / 37, 1 / 10])


def test_certainty_stays_what_it_is() -> None:
    assert shifted(np.array([0.0, 1.0]), 0.9, 0.5).tolist() == [0.0, 1.0]
    assert shifted(np.array([0.3, 1.0]), 1.0, 0.5).tolist() == [1.0, 1.0]
    assert shifted(np.array([0.0]), 1.0, 0.5).tolist() == [0.0]


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("before", [0.5, 0.8])
def test_the_share_is_found_from_what_calibrated_probabilities_say_of_many_questions(share, before) -> None:
    rng = np.random.default_rng(0)
    answerable = rng.random(20_000) < share
    seen = rng.normal(np.where(answerable, 1.0, -1.0), 1.0)  # log-odds of 2 x seen where half are answerable
    at_half = 1 / (1 + np.exp(-2 * seen))
    assert estimated_share(shifted(at_half, before, 0.5), before) == pytest.approx(share, abs=0.01)


def test_no_share_without_questions_or_doubt() -> None:
    assert isnan(estimated_share(np.empty(0), 0.5))
    assert isnan(estimated_share(np.ones(3), 1.0))
