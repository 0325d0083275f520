"""Of the names near to a misspelt one, those that few errors explain come first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb_index.spelling import likeness, rank_by_spelling


def ranked(text: str, names: list[str]) -> list[str]:
    found = rank_by_spelling(text, [(i, name, 0.5) for i, name in enumerate(names)], len(names))
    return [names[i] for i, _ in found]


@pytest.mark.parametrize(
    "text", ["机诫设计基础", "机设计基础", "械机设计基础", "机械设计计基础", "机械设计基础"],
    ids=["wrong", "missing", "swapped", "too many", "right"],
)  # fmt: skip
def test_one_error_is_nearer_than_two(text):
    names = ["机械工程基础", "机械制造基础", "机械设计基础", "设计基础", "计基设械础机"]
    assert ranked(text, names)[0] == "机械设计基础"


def test_a_name_with_all_characters_of_the_text_comes_before_one_that_lacks_some():
    assert ranked("对外奈", ["对外晓", "对外", "对外奈月", "外对奈"]) == ["外对奈", "对外奈月", "对外晓", "对外"]


def test_the_same_errors_are_ordered_by_cosine_and_then_by_id():
    candidates = [(7, "红旗路", 0.7), (5, "红颜路", 0.7), (9, "红鲤路", 0.8)]
    assert rank_by_spelling("红路", candidates, 3) == [(9, 0.8), (5, 0.7), (7, 0.7)]


def test_names_with_many_errors_keep_the_order_of_their_cosines():
    candidates = [(0, "纽约客", 0.3), (1, "new york city", 0.9), (2, "big apple", 0.8), (3, "nyd", 0.1)]
    assert rank_by_spelling("nyc", candidates, 4) == [(3, 0.1), (1, 0.9), (2, 0.8), (0, 0.3)]


def test_longer_texts_may_hold_more_errors():
    names = [(0, "机械设计基础学报", 0.5), (1, "机械设计师资格考试", 0.9)]
    assert rank_by_spelling("机诫设计基础报学", names, 1) == [(0, 0.5)]


def test_a_shortened_name_comes_after_one_error_and_before_other_names():
    names = ["独立纪念日", "独立号航空母舰", "独立号航"]
    assert ranked("独立号航母", names) == ["独立号航", "独立号航空母舰", "独立纪念日"]


def test_leaving_out_is_likelier_than_swapping_and_swapping_than_changing():
    alike = [likeness("慈氏塔", name) for name in ("慈氏塔", "慈氏宝塔", "氏慈塔", "慈恩塔", "塔慈氏", "文峰楼")]
    assert alike == sorted(alike, reverse=True)
    assert len(set(alike)) == len(alike)
    assert (alike[0], alike[-1], likeness("", "慈氏塔")) == (1, 0, 0)


def test_at_most_k_and_none_of_none():
    assert rank_by_spelling("甲", [], 3) == []
    assert rank_by_spelling("甲", [(0, "甲", 1.0), (1, "乙", 0.0)], 1) == [(0, 1.0)]
    assert rank_by_spelling("", [(0, "甲乙", 0.0)], 5) == [(0, 0.0)]


@given(st.text("甲乙丙丁", max_size=9), st.lists(st.text("甲乙丙丁", max_size=9), max_size=12), st.randoms())
def test_the_order_of_the_candidates_does_not_matter(text, names, random):
    candidates = [(i, name, round(random.random(), 1)) for i, name in enumerate(names)]
    shuffled = random.sample(candidates, len(candidates))
    found = rank_by_spelling(text, shuffled, 5)
    assert found == rank_by_spelling(text, candidates, 5)
    assert len(found) == min(5, len(names))
    if text in names:
        assert names[found[0][0]] == text
