import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from finetune.unseeing import stretches, unseeing

NAMES = ["作者", "首都", "面积", "人口", "国籍", "朝代", "别名"]
ATTRIBUTES = st.lists(st.one_of(st.none(), st.sampled_from(NAMES)), max_size=60)


def test_stretches_are_runs_of_neighbours_of_like_length():
    assert stretches(7, 3).tolist() == [0, 0, 0, 1, 1, 2, 2]
    assert stretches(2, 3).tolist() == [0, 1]


def test_without_new_attributes_the_statistics_of_a_stretch_are_those_of_all_others():
    found = unseeing(["作者", "首都", "作者", None], folds=2, new_attributes=0.0, seed=0)
    assert [(shown.tolist(), counted.tolist()) for shown, counted in found] == [([0, 1], [2, 3]), ([2, 3], [0, 1])]


@given(ATTRIBUTES, st.integers(2, 4), st.floats(0, 1))
def test_every_question_is_shown_once_with_statistics_of_other_stretches(attributes, folds, new_attributes):
    found = unseeing(attributes, folds, new_attributes, seed=0)
    fold_of = stretches(len(attributes), folds)
    assert sorted(i for shown, _ in found for i in shown.tolist()) == list(range(len(attributes)))
    for shown, counted in found:
        assert not set(fold_of[shown]) & set(fold_of[counted])


@given(ATTRIBUTES, st.integers(2, 4))
def test_where_all_attributes_are_to_be_new_no_question_is_shown_with_its_own(attributes, folds):
    for shown, counted in unseeing(attributes, folds, 1.0, seed=0):
        known = {attributes[i] for i in counted} - {None}
        assert not known & {attributes[i] for i in shown}


def test_the_share_is_that_of_the_attributes_which_are_new_and_most_others_stay_known():
    attributes = [f"属性{i % 50}" for i in range(1000)]
    known_of = {}
    for shown, counted in unseeing(attributes, 2, 0.3, seed=0):
        known = {attributes[i] for i in counted}
        assert len(known) in (40, 50)  # four fifths, or all
        known_of |= {i: attributes[i] in known for i in shown.tolist()}
    unknown = {attributes[i] for i, is_known in known_of.items() if not is_known}
    assert len(unknown) == 15
    assert np.mean(list(known_of.values())) == 0.7
