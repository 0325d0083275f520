"""Intervals, risk and coverage, calibration: figures that can be worked out by hand, and properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.uncertainty import bootstrap_intervals, calibration, risk_coverage


def test_intervals_of_a_proportion_match_the_normal_approximation() -> None:
    values = np.repeat([1.0, 0.0], [800, 200])[:, None]
    low, high = bootstrap_intervals(values, resamples=2000, seed=3)[0]
    reach = 1.96 * (0.8 * 0.2 / 1000) ** 0.5  # 0.0248
    assert low == pytest.approx(0.8 - reach, abs=0.004)
    assert high == pytest.approx(0.8 + reach, abs=0.004)


def test_the_seed_decides_the_interval() -> None:
    values = np.arange(20.0)[:, None]
    first, again, other = (bootstrap_intervals(values, seed=seed).tolist() for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_left_out_questions_do_not_count() -> None:
    values = np.array([[1.0, np.nan], [1.0, np.nan], [np.nan, np.nan]])
    intervals = bootstrap_intervals(values)
    assert intervals[0].tolist() == [1.0, 1.0]
    assert np.isnan(intervals[1]).all()
    assert np.isnan(bootstrap_intervals(np.empty((0, 2)))).all()


def test_risk_grows_as_less_confident_answers_are_let_in() -> None:
    curve = risk_coverage(np.array([0.2, 0.9, 0.6, 0.8]), np.array([0.0, 1.0, 0.0, 1.0]), points=4)
    assert curve.coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert curve.risk.tolist() == pytest.approx([0.0, 0.0, 1 / 3, 0.5])
    assert curve.aurc == pytest.approx((0 + 0 + 1 / 3 + 0.5) / 4)


def test_equal_confidence_shares_its_mean() -> None:
    curve = risk_coverage(np.array([0.5, 0.5]), np.array([1.0, 0.0]), points=2)
    assert curve.risk.tolist() == [0.5, 0.5]


def test_no_questions() -> None:
    assert np.isnan(risk_coverage(np.empty(0), np.empty(0)).aurc)
    assert np.isnan(calibration(np.empty(0), np.empty(0)).ece)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40))
def test_full_coverage_has_the_overall_error(pairs: list[tuple[float, bool]]) -> None:
    confidence, correct = (np.array(column, dtype=np.float64) for column in zip(*pairs, strict=True))
    curve = risk_coverage(confidence, correct)
    assert curve.coverage[-1] == 1.0
    assert curve.risk[-1] == pytest.approx(1 - correct.mean())
    assert 0 <= curve.aurc <= 1


def test_calibration_bins() -> None:
    bins = calibration(np.array([0.1, 0.9, 0.9, 1.0]), np.array([0.0, 1.0, 0.0, 1.0]), bins=2)
    assert bins.counts.tolist() == [1, 3]
    assert bins.accuracy.tolist() == pytest.approx([0.0, 2 / 3])
    assert bins.confidence.tolist() == pytest.approx([0.1, 2.8 / 3])
    assert bins.ece == pytest.approx(0.25 * 0.1 + 0.75 * (0.8 / 3))
