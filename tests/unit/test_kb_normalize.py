"""Names and attributes are compared as people mean them, and offsets lead back to what they wrote."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb_index.normalize import (
    PLAIN_NAME,
    aliases_of,
    normalize_attribute,
    normalize_name,
    normalize_with_offsets,
    strip_description,
)

# Letters that combine, expand, fold or vanish, beside the characters of real names.
TRICKY = st.text(
    st.sampled_from(
        "刘德华《》AaＢß İıﬁ①½㈱カﾞ゙が각ᄀ\u1161\u11a8é\u0301\u0345ΐ ́\u3000\t\n‘’¨´ﷺ\u0958\u093c\u09c7\u09be𠮷"
    )
    | st.characters(),
    max_size=30,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("刘 德　华", "刘德华"),
        ("ＮＢＡ", "nba"),
        ("Air\tDrying\n", "airdrying"),
        ("Straße", "strasse"),
        ("ｶﾞｲﾄﾞ", "ガイド"),
        ("", ""),
        (" \u3000", ""),
    ],
)
def test_names_differ_in_width_case_and_blanks_only(text, expected):
    assert normalize_name(text) == expected


@given(TRICKY)
def test_normalising_twice_changes_nothing(text):
    assert normalize_name(normalize_name(text)) == normalize_name(text)


@given(TRICKY)
def test_offsets_belong_to_the_same_normalised_text(text):
    normalized, offsets = normalize_with_offsets(text)
    assert normalized == normalize_name(text)
    assert len(offsets) == len(normalized) + 1
    assert offsets == sorted(offsets)
    assert offsets[-1] == len(text)


@given(st.text(st.sampled_from("刘德华ab《》，？ ＡＢ　"), max_size=20))
def test_each_plain_character_is_traced_to_itself(text):
    normalized, offsets = normalize_with_offsets(text)
    assert [normalize_name(text[i]) for i in offsets[:-1]] == list(normalized)


def test_combined_characters_are_traced_to_the_first_of_them():
    assert normalize_with_offsets("xｶﾞ①½y") == ("xガ11⁄2y", [0, 1, 3, 4, 4, 4, 5, 6])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("民 族", "民族"),
        ("职 业[1]", "职业"),
        ("职业［2-3］", "职业"),
        ("职业[注1]", "职业"),
        ("出 版 社：", "出版社"),
        ("·人口", "人口"),
        ("Birth_Place", "birthplace"),
        ("高度[米]", "高度[米]"),
        ("市花、市树", "市花、市树"),
        ("C++", "c++"),
        ("——", "——"),
        ("[1]", "[1]"),
    ],
)
def test_attributes_lose_blanks_marks_and_footnotes(text, expected):
    assert normalize_attribute(text) == expected


@given(st.text(st.sampled_from("民族[]1-：_é\u0301e ·") | st.characters(), max_size=30))
def test_normalising_an_attribute_twice_changes_nothing(text):
    assert normalize_attribute(normalize_attribute(text)) == normalize_attribute(text)


@pytest.mark.parametrize(
    ("name", "plain", "description"),
    [
        ("机械设计基础(2010年高等教育出版社出版)", "机械设计基础", "2010年高等教育出版社出版"),
        ("高等数学（第六版（上册））", "高等数学", "第六版（上册）"),
        ("变形金刚(电影)(2007年)", "变形金刚(电影)", "2007年"),
        ("《红楼梦》", "红楼梦", ""),
        ("【红楼梦】(小说)", "红楼梦", "小说"),
        ("'红楼梦'", "'红楼梦'", ""),
        ("“五四”运动", "“五四”运动", ""),
        ("《甲》与《乙》", "《甲》与《乙》", ""),
        ("(500)天", "(500)天", ""),
        ("(括号)", "(括号)", ""),
        ("没有开头)", "没有开头)", ""),
        ("没有结尾(", "没有结尾(", ""),
        ("空的()", "空的", ""),
        ("《》", "《》", ""),
        ("", "", ""),
    ],
)
def test_descriptions_and_quotation_marks_come_off(name, plain, description):
    assert strip_description(name) == (plain, description)


@given(TRICKY)
def test_aliases_are_normalised_distinct_and_never_empty(name):
    aliases = aliases_of(name)
    assert "" not in aliases
    assert len(set(aliases)) == len(aliases)
    assert all(normalize_name(alias) == alias for alias in aliases)
    assert not normalize_name(name) or aliases[0] == normalize_name(name)


def test_aliases_of_a_quoted_and_described_name():
    assert aliases_of("《坛 经》（佛教经典）") == ("《坛经》(佛教经典)", "《坛经》", "坛经")
    assert aliases_of("刘德华") == ("刘德华",)
    assert aliases_of("  ") == ()


@given(st.from_regex(re.compile(PLAIN_NAME), fullmatch=True))
def test_a_plain_name_is_its_own_and_only_alias(name):
    assert aliases_of(name) == (name,)
    assert strip_description(name) == (name, "")
