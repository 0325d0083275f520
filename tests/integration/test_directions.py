"""Questions that are not about one attribute of one entity, over a real index."""

from __future__ import annotations

import json

import pytest

from kbqa_agent.answer_forms import answer_to_json, answer_to_text

LINES = """\
红楼梦(古典小说) ||| 作者 ||| 曹雪芹
红楼梦(古典小说) ||| 体裁 ||| 长篇小说
废艺斋集稿 ||| 作者 ||| 曹雪芹
曹雪芹 ||| 朝代 ||| 清朝
鲁迅 ||| 代表作 ||| 呐喊
呐喊 ||| 作者 ||| 鲁迅
姚明 ||| 妻子 ||| 叶莉
姚明 ||| 出生地 ||| 上海
叶莉 ||| 出生地 ||| 上海
红高粱 ||| 主演 ||| 巩俐
红高粱 ||| 主演 ||| 姜文
红高粱 ||| 导演 ||| 张艺谋
活着 ||| 主演 ||| 巩俐
巩俐 ||| 职业 ||| 演员
姜文 ||| 职业 ||| 演员
活着 ||| 导演 ||| 张艺谋
鬼子来了 ||| 演员 ||| 姜文
霸王别姬 ||| 主演 ||| 张国荣、张丰毅、巩俐
满城尽带黄金甲 ||| 主演 ||| 周润发，刘烨
法国 ||| 首都 ||| 巴黎
法国 ||| 所属洲 ||| 欧洲
德国 ||| 所属洲 ||| 欧洲
姚明 ||| 毕业院校 ||| 上海交通大学
巴黎 ||| 人口 ||| 220万
"""


@pytest.fixture(scope="module")
def agent(agent_of):
    return agent_of(LINES)


@pytest.mark.parametrize(
    ("question", "values"),
    [
        ("红楼梦的作者是谁？", ("曹雪芹",)),
        ("曹雪芹写过哪些书？", ("红楼梦(古典小说)", "废艺斋集稿")),
        ("请问《曹雪芹》写的书有哪些?", ("红楼梦(古典小说)", "废艺斋集稿")),
        ("哪些书的作者是曹雪芹", ("红楼梦(古典小说)", "废艺斋集稿")),
        ("哪些书是曹雪芹写的？", ("红楼梦(古典小说)", "废艺斋集稿")),
        ("作者是曹雪芹的书有哪些", ("红楼梦(古典小说)", "废艺斋集稿")),
        ("谁的妻子是叶莉？", ("姚明",)),
        ("叶莉是谁的妻子？", ("姚明",)),
        ("巴黎是哪个国家的首都？", ("法国",)),
        ("谁出生在上海？", ("姚明", "叶莉")),
        ("出生于上海的人有哪些？", ("姚明", "叶莉")),
        ("上海交通大学毕业的运动员有哪些？", ("姚明",)),
        ("刘烨主演过哪些电影？", ("满城尽带黄金甲",)),
        ("张艺谋的电影有哪些？", ("红高粱", "活着")),
        ("张艺谋有哪些电影？", ("红高粱", "活着")),
        ("欧洲有哪些国家？", ("法国", "德国")),
        ("哪些国家位于欧洲？", ("法国", "德国")),
    ],
)
def test_reverse_questions_find_all_subjects(agent, question, values):
    answer = agent.ask(question)
    assert (answer.text, answer.values) == (values[0], values)


def test_a_subject_comes_with_the_triple_that_names_it(agent):
    (triple,) = agent.ask("曹雪芹写过哪些书").candidates[1].evidence
    assert triple[1:4] == ("废艺斋集稿", "作者", "曹雪芹")


def test_all_attributes_that_a_verb_may_mean_count(agent):
    assert agent.ask("姜文演过哪些电影？").values == ("红高粱", "鬼子来了")


def test_an_attribute_that_is_second_choice_counts_where_the_others_are_absent(agent_of):
    agent = agent_of("围城 ||| 作者 ||| 钱钟书\n戏 ||| 编剧 ||| 钱钟书\n剧 ||| 编剧 ||| 老舍\n")
    assert agent.ask("钱钟书写过哪些书？").values == ("围城",)
    assert agent.ask("老舍写过哪些书？").values == ("剧",)


@pytest.mark.parametrize(
    ("question", "values"),
    [
        ("谁演过红高粱？", ("巩俐", "姜文")),
        ("《红高粱》是谁演的？", ("巩俐", "姜文")),
        ("废艺斋集稿是谁写的", ("曹雪芹",)),
    ],
)
def test_a_verb_asks_for_those_who_did_it(agent, question, values):
    assert agent.ask(question).values == values


@pytest.mark.parametrize("question", ["巩俐和姜文都演过哪些电影？", "哪些电影是巩俐和姜文演的？"])
def test_a_question_about_two_names_has_what_both_have(agent, question):
    answer = agent.ask(question)
    assert answer.values == ("红高粱",)
    assert [t.object for t in answer.candidates[0].evidence] == ["巩俐", "姜文"]


def test_an_attribute_of_the_entity_itself_comes_first(agent):
    answer = agent.ask("鲁迅写过什么代表作？")
    assert answer.candidates[0].evidence[0].predicate == "代表作"


def test_a_reverse_wording_without_such_triples_stays_a_question_about_an_attribute(agent):
    assert agent.ask("法国的首都是谁的作者").text == "巴黎"
    assert agent.ask("曹雪芹导演过哪些电影").text is None


def test_all_values_of_an_attribute_come_back_together(agent):
    answer = agent.ask("红高粱的主演有哪些？")
    assert answer.values == ("巩俐", "姜文")
    assert [round(c.score, 3) for c in answer.candidates[:2]] == [0.8, 0.8]
    assert answer_to_text(answer).startswith("巩俐; 姜文  (80%)\n")
    assert json.loads(json.dumps(answer_to_json(answer)))["values"] == ["巩俐", "姜文"]


def test_a_question_for_one_value_keeps_the_probability_of_that_one(agent):
    answer = agent.ask("红高粱的主演是谁？")
    assert answer.values == ("巩俐", "姜文")
    assert round(answer.confidence, 3) == 0.4


def test_an_answer_that_is_withheld_has_no_values(agent):
    assert agent.ask("红高粱的票房是多少？").values == ()
