"""Dialogues over a small knowledge base: what follow-ups mean, and asking back."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbqa_agent import AgentConfig, Dialogue, KBQAgent

LINES = """\
红楼梦 ||| 作者 ||| 曹雪芹
红楼梦 ||| 出版社 ||| 人民文学出版社
红楼梦 ||| 页数 ||| 1606
曹雪芹 ||| 妻子 ||| 李兰芳
曹雪芹 ||| 性别 ||| 男
曹雪芹 ||| 出生地 ||| 南京
李兰芳 ||| 性别 ||| 女
李兰芳 ||| 出生地 ||| 苏州
西游记 ||| 作者 ||| 吴承恩
西游记 ||| 出版社 ||| 中华书局
南京 ||| 人口 ||| 942万
南京 ||| 面积 ||| 6587平方公里
机械设计基础(2010年高等教育出版社出版) ||| 作者 ||| 杨可桢
机械设计基础(2010年高等教育出版社出版) ||| 别名 ||| 机械设计基础
机械设计基础(2010年高等教育出版社出版) ||| 页数 ||| 330
机械设计基础(2008年清华大学出版社出版) ||| 作者 ||| 黄平
机械设计基础(2008年清华大学出版社出版) ||| 别名 ||| 机械设计基础
机械设计基础(2008年清华大学出版社出版) ||| 页数 ||| 412
"""
LINES += """\
犹他州 ||| 首府 ||| 盐湖城
犹他州 ||| 人口 ||| 342万
盐湖城 ||| 人口 ||| 20万
不对称加密 ||| 发明者 ||| 迪菲
清华大学 ||| 地址 ||| 北京
黄平 ||| 籍贯 ||| 湖南
法国 ||| 首都 ||| 巴黎
法国 ||| 人口 ||| 6700万
巴黎 ||| 邮政编码 ||| 75000
巴黎 ||| water area ||| 5平方公里
"""
BOTH = {"机械设计基础(2010年高等教育出版社出版)", "机械设计基础(2008年清华大学出版社出版)"}


@pytest.fixture(scope="module")
def agent(agent_of) -> KBQAgent:
    return agent_of(LINES)


def told(agent: KBQAgent, *questions: str) -> str | None:
    """The answer to the last of the questions, asked in one dialogue."""
    dialogue = Dialogue()
    return [agent.ask(question, dialogue).text for question in questions][-1]


@pytest.mark.parametrize(
    ("questions", "answer"),
    [
        (("红楼梦的作者是谁？", "那出版社呢？"), "人民文学出版社"),
        (("红楼梦的作者是谁？", "页数？"), "1606"),
        (("红楼梦的作者是谁？", "那西游记呢？"), "吴承恩"),
        (("红楼梦的作者是谁？", "换成西游记"), "吴承恩"),
        (("红楼梦的作者是谁？", "西游记也说说"), "吴承恩"),
        (("红楼梦的作者是谁？", "那西游记呢？", "出版社呢"), "中华书局"),
        (("红楼梦的作者是谁？", "这本书的出版社是哪家？"), "人民文学出版社"),
        (("红楼梦的作者是谁？", "他的妻子是谁？"), "李兰芳"),
        (("红楼梦的作者是谁？", "他的妻子是谁？", "她的出生地是哪里？"), "苏州"),
        (("红楼梦的作者是谁？", "他的妻子是谁？", "他的出生地是哪里？"), "南京"),
        (("红楼梦的作者是谁？", "这位作者的出生地是哪里？", "那里的人口是多少？"), "942万"),
        (("红楼梦的作者是谁？", "不对，我问的是出版社"), "人民文学出版社"),
        (("红楼梦的作者是谁？", "不是，我说的是西游记"), "吴承恩"),
        (("红楼梦的作者是谁？", "不是红楼梦，是西游记"), "吴承恩"),
        (("红楼梦的作者是谁？", "南京的人口是多少？", "回到红楼梦，出版社是哪家？"), "人民文学出版社"),
        (("红楼梦的作者是谁？", "南京的人口是多少？", "刚才那本书的出版社呢？"), "人民文学出版社"),
        (("红楼梦的作者是谁？", "南京的人口是多少？", "它的面积呢？"), "6587平方公里"),
        (("红楼梦的作者是谁？", "西游记的出版社是哪家？", "那作者呢"), "吴承恩"),
        (("红楼梦的作者是谁？", "犹他州的首府是哪里？"), "盐湖城"),
        (("南京的人口是多少？", "犹他州的人口是多少？"), "342万"),
        (("红楼梦的作者是谁？", "不对称加密的发明者是谁？"), "迪菲"),
        (("红楼梦的作者是谁？", "作者的出生地是哪里？"), "南京"),
        (("法国的人口是多少？", "那首都呢？"), "巴黎"),
        (("法国的首都是哪里？", "红与黑的作者是谁？"), None),
        (("法国的首都是哪里？", "谢谢"), None),
        (("法国的首都是哪里？", "exit"), None),
        (("法国的首都是哪里？", "谢谢", "人口呢？"), "6700万"),
    ],
)
def test_follow_up_questions(agent: KBQAgent, questions: tuple[str, ...], answer: str | None) -> None:
    assert told(agent, *questions) == answer


def test_the_agent_asks_back_when_several_entities_have_the_name(agent: KBQAgent) -> None:
    dialogue = Dialogue()
    answer = agent.ask("机械设计基础的作者是谁？", dialogue)
    assert (answer.text, answer.abstained) == (None, "ambiguous")
    assert {choice.triple.subject for choice in dialogue.choices} == BOTH
    assert agent.ask("机械设计基础的作者是谁？").text in ("杨可桢", "黄平")


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        ("2010年那本", "杨可桢"),
        ("清华大学出版社的", "黄平"),
        ("我问的是高等教育出版社那本", "杨可桢"),
        ("红楼梦的页数是多少？", "1606"),
        ("清华大学的地址是哪里？", "北京"),
        ("黄平的籍贯是哪里？", "湖南"),
    ],
)
def test_a_reply_says_which_one_is_meant(agent: KBQAgent, reply: str, answer: str) -> None:
    assert told(agent, "机械设计基础的作者是谁？", reply) == answer


def test_a_reply_by_place_means_the_listed_one(agent: KBQAgent) -> None:
    dialogue = Dialogue()
    agent.ask("机械设计基础的作者是谁？", dialogue)
    second = dialogue.choices[1]
    assert agent.ask("第二个", dialogue).text == second.answer
    page_count = {"杨可桢": "330", "黄平": "412"}[second.answer]
    assert agent.ask("页数呢？", dialogue).text == page_count


def test_a_reply_that_picks_none_is_asked_back_once_more(agent: KBQAgent) -> None:
    dialogue = Dialogue()
    agent.ask("机械设计基础的作者是谁？", dialogue)
    answer = agent.ask("踢球的那个", dialogue)
    assert (answer.question, answer.abstained) == ("机械设计基础的作者是谁？", "ambiguous")
    assert agent.ask("2008年那本", dialogue).text == "黄平"


def test_a_correction_changes_the_homonym(agent: KBQAgent) -> None:
    first = ("机械设计基础的作者是谁？", "2010年那本")
    assert told(agent, *first, "不是，我问的是清华大学出版社那本") == "黄平"
    assert told(agent, *first, "不是，我问的是清华大学出版社那本", "页数呢？") == "412"


@pytest.mark.parametrize("junk", ["asdf", "qwe rty", "<script>alert(1)</script>", "😀"])
def test_what_means_nothing_is_no_follow_up(agent: KBQAgent, junk: str) -> None:
    dialogue = Dialogue()
    agent.ask("巴黎的邮政编码是多少？", dialogue)
    answer = agent.ask(junk, dialogue)
    assert (answer.question, answer.abstained) == (junk, "no_entity")


def test_a_part_of_an_english_attribute_is_a_follow_up(agent: KBQAgent) -> None:
    assert told(agent, "巴黎的邮政编码是多少？", "area?") == "5平方公里"


def test_asking_back_can_be_switched_off(agent: KBQAgent) -> None:
    never = KBQAgent(agent.kb, agent.ranker, None, AgentConfig(ask_back_below=0))
    assert never.ask("机械设计基础的作者是谁？", Dialogue()).text in ("杨可桢", "黄平")


def test_a_dialogue_goes_on_after_it_was_saved(agent: KBQAgent, tmp_path: Path) -> None:
    dialogue = Dialogue()
    agent.ask("机械设计基础的作者是谁？", dialogue)
    dialogue.save(tmp_path / "dialogue.json")
    assert agent.ask("2010年那本", Dialogue.load(tmp_path / "dialogue.json")).text == "杨可桢"


def test_ids_of_an_index_that_was_built_again_are_not_believed(agent_of, agent: KBQAgent, tmp_path: Path) -> None:
    dialogue = Dialogue()
    agent.ask("西游记的作者是谁？", dialogue)
    dialogue.save(tmp_path / "dialogue.json")
    other = agent_of("水浒传 ||| 作者 ||| 施耐庵\n" + LINES)
    assert other.ask("出版社呢？", Dialogue.load(tmp_path / "dialogue.json")).text == "中华书局"


def test_a_place_in_a_list_means_its_name_after_the_index_was_built_again(agent_of, agent: KBQAgent) -> None:
    dialogue = Dialogue()
    agent.ask("机械设计基础的作者是谁？", dialogue)
    first = dialogue.choices[0].answer
    other = agent_of("水浒传 ||| 作者 ||| 施耐庵\n" + LINES)
    assert other.ask("第一个", Dialogue(dialogue.turns)).text == first
    without = agent_of("红楼梦 ||| 作者 ||| 曹雪芹\n")
    assert without.ask("2010年那本", Dialogue(dialogue.turns)).text is None


def test_feedback_on_one_homonym_says_nothing_of_another(agent: KBQAgent, tmp_path: Path) -> None:
    judged = KBQAgent(agent.kb, agent.ranker, None, AgentConfig())
    judged.use_feedback(tmp_path / "feedback.sqlite")
    dialogue = Dialogue()
    judged.ask("机械设计基础的作者是谁？", dialogue)
    answer = judged.ask("2010年那本", dialogue)
    assert answer.meant is not None
    assert answer.meant.name == "机械设计基础(2010年高等教育出版社出版)"
    for user in ("a", "b", "c"):
        judged.give_feedback(answer, "good", user=user)
    other = Dialogue()
    assert judged.ask("机械设计基础的作者是谁？", other).abstained == "ambiguous"
    assert judged.ask("2008年那本", other).text == "黄平"
    again = Dialogue()
    before = judged.without_feedback().ask("机械设计基础的作者是谁？", again)
    assert before.abstained == "ambiguous"
    assert judged.ask("2010年那本", again).confidence > answer.confidence
    judged.use_feedback(None)


def test_dialogues_side_by_side_do_not_mix(agent: KBQAgent) -> None:
    one, two = Dialogue(), Dialogue()
    agent.ask("红楼梦的作者是谁？", one)
    agent.ask("西游记的作者是谁？", two)
    assert agent.ask("出版社呢？", one).text == "人民文学出版社"
    assert agent.ask("出版社呢？", two).text == "中华书局"


def test_a_dialogue_of_ten_thousand_turns_goes_on(agent: KBQAgent) -> None:
    dialogue = Dialogue()
    agent.ask("红楼梦的作者是谁？", dialogue)
    for _ in range(10_000):
        dialogue.add(dialogue.turns[-1])
    assert agent.ask("那出版社呢？", dialogue).text == "人民文学出版社"
