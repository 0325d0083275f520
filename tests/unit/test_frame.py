"""What stands around the matter of a question."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbqa_agent.frame import bare, quoted


@pytest.mark.parametrize(
    ("question", "matter"),
    [
        ("请问，姚明的身高是多少呢？", "姚明的身高是多少"),
        ("你知道曹雪芹写过哪些书吗?", "曹雪芹写过哪些书"),
        ("法国的首都是巴黎，对不对？", "法国的首都是巴黎"),
        ("法国的首都是巴黎对吗", "法国的首都是巴黎"),
        ("那英唱过什么？", "那英唱过什么"),
        ("那么那英呢", "那英"),
    ],
)
def test_a_question_without_its_frame(question, matter):
    assert bare(question) == matter


@given(st.text("请问你知道姚明的是什么吗么呢对不？，。 ", max_size=20))
def test_what_is_bare_stays_so_and_is_a_part_of_the_question(question):
    assert bare(question) in question
    assert bare(bare(question)) == bare(question)


def test_every_quoted_stretch_is_found_once():
    question = "《坛经》、《心经》和“金刚经”是谁译的？"
    assert [question[start:end] for start, end in quoted(question)] == ["坛经", "心经", "金刚经"]
    assert quoted("《》和“未完") == []
