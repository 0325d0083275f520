"""Where a question's wording puts a name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbqa_agent.spans import name_spans


def stretches(question):
    return [question[start:end] for start, end in name_spans(question)]


@pytest.mark.parametrize(
    ("question", "name"),
    [
        ("慈氏塔是哪年重修的？", "慈氏塔"),
        ("请问独立号航母的续航力怎么样？", "独立号航母"),
        ("我想问一下多伦多猛龙队是啥时候建立的", "多伦多猛龙队"),
        ("有人能告诉我东阿阿胶有哪些功效吗？", "东阿阿胶"),
        ("谁发现了钨？", "钨"),
        ("苍蝇的蝇字是什么偏旁？", "蝇"),
        ("与西区相关的节目有哪些", "西区"),
        ("Who directed Lord of the Rings?", "Lord of the Rings"),
    ],
)
def test_the_name_is_among_the_spans(question, name):
    assert name in stretches(question)


def test_what_is_quoted_comes_first():
    assert stretches("请问《坛经》和“心经”的作者是谁？")[:2] == ["坛经", "心经"]


def test_a_span_asks_nothing():
    assert stretches("什么是多少？") == []
    assert stretches("") == []


@given(st.text(alphabet="请问知道的是有了字《》“”谁 ?aZ高", max_size=30))
def test_spans_are_inside_the_question_and_distinct(question):
    spans = name_spans(question)
    assert all(0 <= start < end <= len(question) for start, end in spans)
    assert len(set(spans)) == len(spans)


def test_function_words_are_no_name_unless_the_wording_says_so():
    assert stretches("请问有多少首歌？") == []
    assert "是" in stretches("请问是的部首有几画")
