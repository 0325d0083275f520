"""KgCLUE's exact match and F1, against their definition written out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.kgclue import kgclue_em, kgclue_f1, kgclue_form

texts = st.text("武汉大学 aB1", max_size=8)


def common(left: str, right: str) -> int:
    """The length of the longest common subsequence, from its recurrence."""
    if not left or not right:
        return 0
    if left[-1] == right[-1]:
        return common(left[:-1], right[:-1]) + 1
    return max(common(left[:-1], right), common(left, right[:-1]))


@given(answer=texts, gold=texts)
def test_the_definition(answer: str, gold: str) -> None:
    told, wanted = kgclue_form(answer), kgclue_form(gold)
    length = len(told) + len(wanted)
    assert kgclue_f1(answer, {gold}) == pytest.approx(2 * common(told, wanted) / length if length else 0.0)
    assert kgclue_em(answer, {gold}) == float(told == wanted)


def test_case_and_blanks_are_forgiven_and_nothing_else() -> None:
    assert kgclue_em("War  AND peace", {"War and Peace"}) == 1.0
    assert kgclue_em("Warand peace", {"War and Peace"}) == 0.0
    assert kgclue_em("《活着》", {"活着"}) == 0.0
    assert kgclue_f1("《活着》", {"活着"}) == pytest.approx(4 / 6)


def test_the_best_gold_answer_counts_and_none_scores_nothing() -> None:
    assert kgclue_f1("李白", {"杜甫", "李白"}) == kgclue_em("李白", {"杜甫", "李白"}) == 1.0
    assert kgclue_f1("李白", set()) == kgclue_em("李白", set()) == kgclue_f1("", {""}) == 0.0
