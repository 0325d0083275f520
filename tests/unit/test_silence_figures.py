"""The figures on silence, worked out by hand."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest

from eval.unanswerable import Judged, judge, silence_figures
from eval.uncertainty import threshold_at_risk
from kbqa_agent.types import Answer, Candidate, QAExample


def test_the_lowest_threshold_that_keeps_the_risk() -> None:
    confidence, right = np.array([0.9, 0.8, 0.7, 0.6, 0.5]), np.array([1.0, 0.0, 1.0, 1.0, 0.0])
    assert threshold_at_risk(confidence, right, 0.0) == 0.9
    assert threshold_at_risk(confidence, right, 0.25) == 0.6
    assert threshold_at_risk(confidence, right, 0.4) == 0.5
    assert threshold_at_risk(confidence[1:2], right[1:2], 0.05) == inf
    # Equally sure answers are let in together: half of them are wrong.
    assert threshold_at_risk(np.array([0.9, 0.9]), np.array([1.0, 0.0]), 0.05) == inf


def test_coverage_counts_answerable_questions_and_risk_all_answers() -> None:
    judged = [
        Judged(None, 0.9, True, None),
        Judged(None, 0.8, True, None),
        Judged("triples", 0.7, False, None),
        Judged(None, 0.6, False, "ambiguous"),
        Judged("entities", 0.0, False, "no_entity"),
    ]
    figures = silence_figures(judged, tolerated=0.05)
    assert figures["threshold"] == 0.8
    assert figures["coverage"] == pytest.approx(2 / 3)
    assert figures["risk"] == 0
    answered = {kind: (count["n"], count["answered"]) for kind, count in figures["unanswerable"].items()}
    assert answered == {"entities": (1, 0.0), "triples": (1, 0.0)}
    told = figures["told"]
    assert (told["coverage"], told["risk"]) == (pytest.approx(2 / 3), pytest.approx(1 / 3))
    assert told["unanswerable"]["triples"] == {"n": 1, "answered": 1.0, "interval": (1.0, 1.0)}
    assert told["silent"] == {"ambiguous": 1, "no_entity": 1}
    assert figures["aurc"] == pytest.approx((0 + 0 + 1 / 3 + 2 / 4 + 3 / 5) / 5)


def test_every_figure_on_silence_has_an_interval_and_the_threshold_is_chosen_anew() -> None:
    sure = [Judged(None, 0.9, True, None)] * 60 + [Judged("attribute", 0.8, False, None)] * 20
    figures = silence_figures([*sure, *[Judged(None, 0.7, True, None)] * 20], resamples=200)
    assert (figures["threshold"], figures["coverage"], figures["risk"]) == (0.9, 0.75, 0.0)
    assert list(figures["intervals"]) == ["coverage", "risk", "threshold", "aurc", "ece"]
    low, high = figures["intervals"]["coverage"]
    assert 0.6 < low < 0.75 < high < 0.9
    assert figures["intervals"]["threshold"] == (0.9, 0.9)
    assert list(figures["told"]["intervals"]) == ["coverage", "risk"]
    low, high = figures["told"]["intervals"]["risk"]
    assert figures["told"]["risk"] == pytest.approx(0.2)
    assert 0.1 < low < 0.2 < high < 0.3


def test_a_withheld_answer_is_judged_as_if_it_were_told() -> None:
    withheld = Answer("？", None, 0.3, "low_confidence", (Candidate("甲", 0.3, ()),), ())
    assert judge(QAExample("1", "？", ("甲",)), None, withheld) == Judged(None, 0.3, True, "low_confidence")
    assert judge(QAExample("1", "？", ()), "entities", withheld) == Judged("entities", 0.3, False, "low_confidence")
    nothing = Answer("？", None, 0.0, "no_entity", (), ())
    assert judge(QAExample("1", "？", ("甲",)), None, nothing) == Judged(None, 0.0, False, "no_entity")
