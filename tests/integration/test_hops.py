"""Chinese questions over a chain of facts, over a real index."""

from __future__ import annotations

import pytest

LINES = """\
姚明 ||| 妻子 ||| 叶莉
姚明 ||| 身高 ||| 2.29米
姚明 ||| 出生地 ||| 上海
叶莉 ||| 身高 ||| 1.90米
叶莉 ||| 出生地 ||| 上海
叶莉 ||| 丈夫 ||| 姚明
叶莉 ||| 女儿 ||| 姚沁蕾
叶莉 ||| 女儿 ||| 姚小妹
上海 ||| 市花 ||| 白玉兰
红楼梦(古典小说) ||| 作者 ||| 曹雪芹
废艺斋集稿 ||| 作者 ||| 曹雪芹
曹雪芹 ||| 朝代 ||| 清朝
医院 ||| 区号 ||| 10
10 ||| 种类 ||| 自然数
城镇 ||| 地标 ||| 大本钟
城镇 ||| 地标建筑 ||| 白塔
大本钟 ||| 建筑师 ||| 张三
"""


@pytest.fixture(scope="module")
def agent(agent_of):
    return agent_of(LINES)


@pytest.mark.parametrize(
    ("question", "values", "path"),
    [
        ("姚明的妻子的身高是多少？", ("1.90米",), ["妻子", "身高"]),
        ("姚明的妻子身高多少？", ("1.90米",), ["妻子", "身高"]),
        ("姚明妻子的女儿是谁？", ("姚沁蕾", "姚小妹"), ["妻子", "女儿"]),
        ("姚明的妻子的出生地的市花是什么？", ("白玉兰",), ["妻子", "出生地", "市花"]),
        ("《红楼梦》的作者还写过哪些书？", ("废艺斋集稿",), ["作者", "作者"]),
        ("妻子是叶莉的人的身高是多少？", ("2.29米",), ["妻子", "身高"]),
        ("写《红楼梦》的人的朝代是什么？", ("清朝",), ["作者", "朝代"]),
    ],
)
def test_a_chain_is_followed_and_is_the_evidence(agent, question, values, path):
    answer = agent.ask(question)
    assert (answer.text, answer.values) == (values[0], values)
    assert [t.predicate for t in answer.candidates[0].evidence] == path


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("姚明的妻子是谁？", "叶莉"),
        ("姚明的妻子叫什么名字？", "叶莉"),
        ("姚明的身高是多少？", "2.29米"),
        ("医院的区号的什么？", "10"),
        ("城镇的地标建筑是什么？", "白塔"),
        ("姚明的妻子的体重是多少？", "叶莉"),
    ],
)
def test_what_is_no_chain_stays_a_question_about_an_attribute(agent, question, text):
    assert agent.ask(question).text == text


def test_all_values_come_back_though_only_some_are_candidates(agent_of):
    films = "".join(f"影片{number} ||| 导演 ||| 张三\n" for number in range(40))
    answer = agent_of(f"红花 ||| 导演 ||| 张三\n{films}").ask("《红花》的导演还导演过哪些电影？")
    assert set(answer.values) == {f"影片{number}" for number in range(40)}
