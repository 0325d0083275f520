"""Feedback given to an agent over a real index, and what it does to later answers of all kinds."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from kb_index.errors import FeedbackError
from kbqa_agent import AgentConfig, Dialogue, FeedbackStore, KBQAgent
from kbqa_agent.answer_forms import answer_to_json, answer_to_text
from kbqa_agent.types import Answer

LINES = """\
法国 ||| 首都 ||| 巴黎
法国 ||| 人口 ||| 6700万
法国 ||| 最大城市 ||| 里昂
德国 ||| 首都 ||| 柏林
德国 ||| 最大城市 ||| 汉堡
红楼梦(古典小说) ||| 作者 ||| 曹雪芹
废艺斋集稿 ||| 作者 ||| 曹雪芹
红高粱 ||| 主演 ||| 巩俐
红高粱 ||| 主演 ||| 姜文
红高粱 ||| 导演 ||| 张艺谋
姚明 ||| 妻子 ||| 叶莉
叶莉 ||| 出生地 ||| 上海
叶莉 ||| 籍贯 ||| 江苏
"""
CAPITAL = "法国的首都是哪里？"


class WordRanker:
    """A fake: an attribute in the question has the probability .6, what is left is shared by the others."""

    def rank(self, question, mentions, triples):
        named = np.array([t.predicate in question for t in triples], bool)
        shares = np.where(named, 0.6 / max(1, named.sum()), 0.3 / max(1, (~named).sum())).astype(np.float32)
        return shares, shares


class WritesOnly:
    """A fake generator that always writes the same and finds all answers alike."""

    name = "fake"
    adapter = Path("my-adapter")

    def score(self, prompt, answers):
        return np.zeros(len(answers), np.float32)

    def generate(self, prompts, max_new_tokens=48, among=None):
        return ["火星"] * len(prompts)


@pytest.fixture(scope="module")
def kb(open_kb):
    return open_kb(LINES)


@pytest.fixture
def agent(kb, tmp_path: Path) -> Iterator[KBQAgent]:
    made = KBQAgent(kb, WordRanker(), None, AgentConfig())
    made.use_feedback(tmp_path / "feedback.sqlite")
    yield made
    made.use_feedback(None)


def correct(agent: KBQAgent, question: str, text: str, people: int) -> Answer:
    """Ask, let so many people correct the answer, and ask again."""
    answer = agent.ask(question)
    for number in range(people):
        agent.give_feedback(answer, "bad", text, user=f"person {number}")
    return agent.ask(question)


def test_a_correction_changes_the_next_answer_and_undoing_brings_it_back(agent: KBQAgent, tmp_path: Path) -> None:
    assert agent.ask(CAPITAL).text == "巴黎"
    answer = correct(agent, CAPITAL, "里昂", people=1)
    assert (answer.text, answer.supported, answer.values) == ("里昂", True, ("里昂",))
    assert answer.candidates[0].evidence[0][1:4] == ("法国", "最大城市", "里昂")
    with FeedbackStore(tmp_path / "feedback.sqlite") as store:
        store.undo(1)
    assert agent.ask(CAPITAL).text == "巴黎"


def test_what_was_shown_is_kept(agent: KBQAgent, kb) -> None:
    agent.generator = WritesOnly()
    agent.give_feedback(agent.ask(CAPITAL), "good", comment="谢谢", user="li")
    with FeedbackStore(agent_store(agent)) as store:
        (record,) = store.records()
    assert (record.user, record.feedback.comment, record.feedback.answer) == ("li", "谢谢", "巴黎")
    assert [c.answer for c in record.shown.candidates] == ["巴黎", "6700万", "里昂"]
    assert record.shown.candidates[0].evidence[0][1:4] == ("法国", "首都", "巴黎")
    assert [m.text for m in record.shown.mentions] == ["法国"]
    assert record.shown.prompt.startswith("【法国】\n首都：巴黎\n")
    assert record.shown.prompt.endswith(f"问：{CAPITAL}\n答：")
    system = record.shown.system
    assert (system.model, system.adapter) == ("fake", "my-adapter")
    assert system.index is not None
    assert (system.index.created, system.index.triples) == (kb.manifest.created, 13)


def agent_store(agent: KBQAgent) -> Path:
    assert agent._feedback is not None
    return agent._feedback.store.path


def test_a_text_that_no_triple_has_is_told_as_a_correction(agent: KBQAgent) -> None:
    answer = correct(agent, CAPITAL, "凡尔赛", people=2)
    assert (answer.text, answer.supported, answer.values) == ("凡尔赛", False, ())
    lines = answer_to_text(answer).splitlines()
    assert lines[0] == f"凡尔赛  ({answer.confidence:.0%}; a correction that people gave, backed by no triple)"
    assert lines[1].endswith("凡尔赛  (a correction that people gave, backed by no triple)")
    row = json.loads(json.dumps(answer_to_json(answer)))
    assert (row["answer"], row["supported"], row["candidates"][0]["evidence"]) == ("凡尔赛", False, [])
    assert [m["text"] for m in row["mentions"]] == ["法国"]


def test_a_dialogue_goes_on_after_a_correction_without_evidence(agent: KBQAgent) -> None:
    correct(agent, CAPITAL, "凡尔赛", people=2)
    dialogue = Dialogue()
    assert agent.ask(CAPITAL, dialogue).text == "凡尔赛"
    assert agent.ask("那人口呢？", dialogue).text == "6700万"


def test_unknown_makes_silence(agent: KBQAgent) -> None:
    answer = agent.ask(CAPITAL)
    for number in range(3):
        agent.give_feedback(answer, "unknown", user=f"person {number}")
    silent = agent.ask(CAPITAL)
    assert (silent.text, silent.abstained) == (None, "no_attribute")


def test_silence_can_be_corrected(agent: KBQAgent) -> None:
    question = "火星的首都是哪里？"
    silent = agent.ask(question)
    assert silent.text is None
    with pytest.raises(FeedbackError, match="nothing was answered, so nothing is good"):
        agent.give_feedback(silent, "good")
    assert correct(agent, question, "没有", people=1).text == "没有"


def test_an_explanation_says_what_people_did(agent: KBQAgent) -> None:
    assert agent.explain(agent.ask(CAPITAL)).decided_by == "ranker"
    turned = agent.explain(correct(agent, CAPITAL, "里昂", people=1))
    assert (turned.decided_by, str(turned).splitlines()[1]) == ("feedback", "它排在前面，是因为人们的反馈。")
    explained = agent.explain(correct(agent, CAPITAL, "凡尔赛", people=3))
    assert explained.sentence.startswith("“凡尔赛”（把握 ")
    assert "是人们的更正，知识库里没有依据。其次是“" in explained.sentence
    assert (explained.decided_by, explained.evidence) == ("feedback", ())


def test_many_questions_heed_feedback_too(agent: KBQAgent) -> None:
    correct(agent, CAPITAL, "里昂", people=1)
    assert [answer.text for answer in agent.ask_many([CAPITAL, "法国的人口是多少？", CAPITAL])] == [
        "里昂",
        "6700万",
        "里昂",
    ]


def test_a_similar_question_about_the_same_attribute(agent: KBQAgent) -> None:
    before = {c.answer: c.score for c in agent.ask("德国的首都是哪里？").candidates}
    correct(agent, CAPITAL, "里昂", people=2)
    after = {c.answer: c.score for c in agent.ask("德国的首都是哪里？").candidates}
    assert before == {"柏林": pytest.approx(0.6), "汉堡": pytest.approx(0.3)}
    ratio = 0.85 / 0.15
    whole = 0.6 / ratio + 0.3 * ratio + 0.1
    assert after == {"柏林": pytest.approx(0.6 / ratio / whole), "汉堡": pytest.approx(0.3 * ratio / whole)}


def test_several_values_are_judged_together(agent: KBQAgent) -> None:
    question = "红高粱的主演有哪些？"
    answer = agent.ask(question)
    assert set(answer.values) == {"巩俐", "姜文"}
    agent.give_feedback(answer, "good")
    surer = agent.ask(question)
    assert set(surer.values) == {"巩俐", "姜文"}
    assert surer.confidence > answer.confidence
    agent.give_feedback(surer, "bad")
    assert {c.answer: round(c.score, 2) for c in agent.ask(question).candidates} == {
        "张艺谋": 0.59,
        "巩俐": 0.21,
        "姜文": 0.21,
    }


def test_a_reverse_question(agent: KBQAgent) -> None:
    question = "曹雪芹写过哪些书？"
    answer = agent.ask(question)
    assert set(answer.values) == {"红楼梦(古典小说)", "废艺斋集稿"}
    agent.give_feedback(answer, "good", user="li")
    assert agent.ask(question).confidence > answer.confidence
    other = correct(agent, question, "石头记", people=4)
    assert (other.text, other.values, other.supported) == ("石头记", (), False)


def test_a_chain_takes_up_what_people_say_of_its_last_question(agent: KBQAgent) -> None:
    assert agent.ask("姚明的妻子的出生地是哪里？").text == "上海"
    correct(agent, "叶莉的出生地是哪里？", "江苏", people=3)
    assert agent.ask("姚明的妻子的出生地是哪里？").text == "江苏"
    correct(agent, "叶莉的出生地是哪里？", "苏州", people=9)
    assert agent.ask("叶莉的出生地是哪里？").text == "苏州"
    assert agent.ask("姚明的妻子的出生地是哪里？").text != "苏州"  # a chain rests on triples


def test_the_generators_own_words_give_way_to_what_people_say(kb, tmp_path: Path) -> None:
    agent = KBQAgent(kb, WordRanker(), WritesOnly(), AgentConfig(generator="always", free_text=True))
    agent.use_feedback(tmp_path / "f.sqlite")
    made_up = agent.ask(CAPITAL)
    assert (made_up.text, made_up.supported) == ("火星", False)
    agent.give_feedback(made_up, "bad")
    assert agent.ask(CAPITAL).text in {"巴黎", "里昂", "6700万"}
    agent.use_feedback(None)


def test_off_is_off(agent: KBQAgent) -> None:
    correct(agent, CAPITAL, "里昂", people=1)
    path = agent_store(agent)
    agent.use_feedback(None)
    answer = agent.ask(CAPITAL)
    assert answer.text == "巴黎"
    with pytest.raises(FeedbackError, match="this agent keeps no feedback; open it with feedback=FILE"):
        agent.give_feedback(answer, "good")
    agent.use_feedback(path)
    assert agent.ask(CAPITAL).text == "里昂"


def test_users_who_do_not_share_a_store(agent: KBQAgent, kb, tmp_path: Path) -> None:
    other = KBQAgent(kb, WordRanker(), None, AgentConfig())
    other.use_feedback(tmp_path / "other.sqlite")
    correct(agent, CAPITAL, "里昂", people=1)
    assert other.ask(CAPITAL).text == "巴黎"
    other.use_feedback(None)


def test_one_store_serves_two_agents_and_stays_open(agent: KBQAgent, kb, tmp_path: Path) -> None:
    with FeedbackStore(tmp_path / "shared.sqlite") as store:
        other = KBQAgent(kb, WordRanker(), None, AgentConfig())
        agent.use_feedback(store)
        other.use_feedback(store)
        assert correct(agent, CAPITAL, "里昂", people=1).text == "里昂"
        assert other.ask(CAPITAL).text == "里昂"
        other.use_feedback(None)
        assert len(store.records()) == 1


def test_threads_ask_and_judge_at_once(agent: KBQAgent) -> None:
    problems: list[Exception] = []

    def talk(number: int) -> None:
        try:
            for _ in range(5):
                agent.give_feedback(agent.ask(CAPITAL), "good", user=f"person {number}")
        except Exception as error:
            problems.append(error)

    threads = [threading.Thread(target=talk, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    whole = 0.6 + 0.4 * (0.15 / 0.85) ** 4
    assert agent.ask(CAPITAL).confidence == pytest.approx(0.6 / whole, abs=1e-4)


def test_open_takes_a_file(kb, tmp_path: Path) -> None:
    pytest.importorskip("lightgbm")
    with KBQAgent.open(kb.path, model="none", feedback=tmp_path / "f.sqlite") as opened:
        assert opened.give_feedback(opened.ask(CAPITAL), "good") == 1
    with FeedbackStore(tmp_path / "f.sqlite", create=False) as store:
        assert [record.feedback.rating for record in store.records()] == ["good"]
