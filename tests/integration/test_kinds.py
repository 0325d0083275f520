"""Counts, yes or no, and comparisons, over a real index."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

LINES = """\
姚明 ||| 女儿 ||| 姚沁蕾
姚明 ||| 女儿 ||| 姚小妹
姚明 ||| 身高 ||| 2.29米
姚明 ||| 出生地 ||| 上海市
姚明 ||| 出生日期 ||| 1980年9月12日
叶莉 ||| 身高 ||| 190cm
叶莉 ||| 出生日期 ||| 1981年11月20日
深圳 ||| 下辖区 ||| 福田区、罗湖区、南山区
深圳 ||| 街道 ||| 74个
红楼梦 ||| 作者 ||| 曹雪芹
废艺斋集稿 ||| 作者 ||| 曹雪芹
法国 ||| 首都 ||| 巴黎
法国 ||| 邻国 ||| 德国
法国 ||| 邻国 ||| 瑞士
荷兰 ||| 邻国 ||| 比利时
比利时 ||| 货币 ||| 欧元
法国 ||| 人口 ||| 6700万
德国 ||| 人口 ||| 8,300万
德国 ||| 面积 ||| 357592平方公里
红高粱 ||| 导演 ||| 张艺谋
Nile ||| length ||| 6650 km
Amazon ||| length ||| 6400 km
Jaws ||| directed by ||| Steven Spielberg
Duel ||| directed by ||| Steven Spielberg
Apollo 13 ||| directed by ||| Ron Howard
"""


@pytest.fixture(scope="module")
def agent(agent_of):
    return agent_of(LINES)


@pytest.mark.parametrize(
    ("question", "text", "n_triples"),
    [
        ("姚明有几个女儿？", "2", 2),
        ("姚明的女儿有几个？", "2", 2),
        ("深圳有多少个下辖区？", "3", 1),
        ("曹雪芹写过几本书？", "2", 2),
        ("与法国是邻国的有多少个国家？", "2", 2),
        ("how many movies did Steven Spielberg direct?", "2", 2),
        ("how many movies did Ron Howard direct?", "1", 1),
    ],
)
def test_what_no_triple_states_is_counted(agent, question, text, n_triples):
    answer = agent.ask(question)
    assert (answer.text, answer.values) == (text, (text,))
    assert len(answer.candidates[0].evidence) == n_triples


def test_a_number_that_a_triple_states_is_not_counted(agent):
    assert agent.ask("深圳有多少个街道？").text == "74个"
    assert agent.ask("法国有多少人口？").text == "6700万"


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("法国的首都是巴黎吗？", "是"),
        ("法国的首都是里昂吗？", "不是"),
        ("巴黎是不是法国的首都？", "是"),
        ("《红楼梦》是曹雪芹写的吗？", "是"),
        ("张艺谋导演过红高粱吗？", "是"),
        ("姚明是否出生于上海？", "是"),
        ("姚明是在北京出生的吗？", "不是"),
        ("法国的首都是里昂，对吗？", "不是"),
    ],
)
def test_a_claim_is_judged_by_the_triple_that_speaks_of_it(agent, question, text):
    answer = agent.ask(question)
    assert answer.text == text
    assert len(answer.candidates[0].evidence) == 1


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("did Steven Spielberg direct Jaws?", "yes"),
        ("Was Jaws directed by Ron Howard?", "no"),
        ("is Ron Howard the director of Apollo 13?", "yes"),
    ],
)
def test_an_english_claim_is_judged(agent, question, text):
    assert agent.ask(question).text == text


@given(st.text(max_size=40) | st.text("姚明叶莉的和比谁高吗有几个女儿是不写过哪些书Jaws did by ", max_size=30))
@settings(deadline=None, max_examples=200)
def test_any_text_is_asked_without_an_error(agent, question):
    if question.strip():
        assert agent.ask(question).question


@pytest.mark.parametrize(("question", "text"), [("法国和德国是邻国吗？", "是"), ("法国和比利时是邻国吗？", "不是")])
def test_a_claim_in_other_words_is_judged_by_asking(agent, question, text):
    assert agent.ask(question).text == text


def test_a_name_that_is_no_value_of_the_attribute_makes_no_claim(agent):
    assert agent.ask("法国和红高粱是邻国吗？").text not in ("是", "不是")


def test_a_value_that_is_itself_a_yes_is_the_answer(agent_of):
    agent = agent_of("某药 ||| 是否纳入医保 ||| 纳入\n纳入 ||| 词性 ||| 动词\n某药丸 ||| 用途 ||| 止痛\n")
    assert agent.ask("请问某药是否纳入医保？").text == "纳入"


def test_which_ones_is_not_how_many(agent):
    assert agent.ask("哪几本书的作者是曹雪芹？").values == ("红楼梦", "废艺斋集稿")


def test_a_polite_question_is_no_claim(agent):
    assert agent.ask("你知道姚明的身高吗？").text == "2.29米"
    assert agent.ask("请问法国的首都是哪里吗？").text == "巴黎"


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("姚明和叶莉谁高？", "姚明"),
        ("姚明和叶莉谁更矮？", "叶莉"),
        ("姚明与叶莉谁年轻", "叶莉"),
        ("谁更高，姚明还是叶莉？", "姚明"),
        ("法国和德国哪个人口多？", "德国"),
        ("德国和法国的人口哪个少？", "法国"),
        ("法国和德国哪个国家的人口更多？", "德国"),
        ("姚明和叶莉谁大？", "姚明"),
        ("姚明和叶莉谁年龄小？", "叶莉"),
        ("姚明和叶莉谁出生得早？", "姚明"),
        ("姚明比叶莉高吗？", "是"),
        ("法国的人口比德国多吗？", "不是"),
        ("which is longer, the Nile or the Amazon?", "Nile"),
        ("is the Nile longer than the Amazon?", "yes"),
        ("is the Nile shorter than the Amazon?", "no"),
    ],
)
def test_two_entities_are_compared_on_an_attribute_of_both(agent, question, text):
    answer = agent.ask(question)
    assert answer.text == text
    assert len(answer.candidates[0].evidence) == 2


def test_values_that_disagree_make_a_comparison_less_sure(agent_of):
    lines = "甲山 ||| 海拔 ||| 900米\n甲山 ||| 海拔 ||| 950米\n甲山 ||| 海拔 ||| 9米\n乙山 ||| 海拔 ||| 100米\n"
    answer = agent_of(lines).ask("甲山和乙山哪座高？")
    assert (answer.text, round(answer.confidence, 2)) == ("甲山", 0.6)


def test_what_cannot_be_compared_is_no_comparison(agent):
    assert agent.ask("法国和德国哪个的面积大？").text == "357592平方公里"
    assert agent.ask("姚明和深圳谁高？").text != "姚明"
