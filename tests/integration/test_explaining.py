"""What decided between two candidates, asked of the real ranker over the sample."""

import numpy as np
import pytest

from kb_index import build_index
from kbqa_agent import AgentConfig, KBQAgent
from kbqa_agent.answer_forms import answer_to_json
from kbqa_agent.chatting import Chat
from kbqa_agent.features import Asked
from kbqa_agent.sample import sample_triples


class Likes:
    """A fake generator for which one answer is likelier than the others, by two nats a character."""

    name = "likes"

    def __init__(self, answer):
        self.answer = answer

    def score(self, prompt, answers):
        return np.array([0.0 if a == self.answer else -2.0 * (len(a) + 1) for a in answers], np.float32)


@pytest.fixture(scope="module")
def agent(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sample") / "index"
    build_index([sample_triples()], folder, progress=False)
    with KBQAgent.open(folder, model="none") as opened:
        yield opened


def test_an_attribute_that_the_question_names_is_told_as_the_reason(agent):
    explained = agent.explain(agent.ask("法国的首都是哪里？"))
    assert explained.sentence.startswith("答案是“巴黎”（把握 ")
    assert explained.evidence[0][1:4] == ("法国", "首都", "巴黎")
    assert explained.decided_by == "ranker"
    texts = {reason.text: reason for reason in explained.reasons}
    named = texts["属性名与问题用词是否相符"]
    assert named.weight > 0
    assert {"verbatim", "common_run"} <= set(named.features)
    weights = [abs(reason.weight) for reason in explained.reasons]
    assert weights == sorted(weights, reverse=True)


def test_contributions_sum_to_the_difference_of_the_scores(agent):
    (ranked,) = agent.rank_many(["日本的货币是什么？"])
    asked = Asked("日本的货币是什么？", ranked.mentions, ranked.triples)
    scores, _, _ = agent.ranker.judge(*asked)
    best, second = np.argsort(-scores)[:2]
    first_row, second_row = agent.ranker.contributions(asked, [best, second])
    assert (first_row - second_row).sum() == pytest.approx(scores[best] - scores[second], abs=1e-4)


def test_a_generator_that_turns_the_order_is_told(agent):
    question = "圣何塞在哪个国家？"
    second = agent.ask(question).candidates[1].answer
    turning = KBQAgent(agent.kb, agent.ranker, Likes(second), AgentConfig(generator="always"))
    explained = turning.explain(turning.ask(question))
    assert (explained.decided_by, explained.reasons) == ("generator", ())
    assert str(explained).splitlines()[1] == "排序模型本来更看好后者，生成模型改变了次序。"


class Writes(Likes):
    """A fake generator that writes one answer, and finds all equally likely."""

    def score(self, prompt, answers):
        return np.zeros(len(answers), np.float32)

    def generate(self, prompts, max_new_tokens=48, *, among=None):
        return [self.answer for _ in prompts]


def test_what_the_generator_writes_is_told_with_its_own_triple(agent):
    question = "圣何塞在哪个国家？"
    writing = KBQAgent(agent.kb, agent.ranker, Writes("哥斯达黎加"), AgentConfig(free_text=True))
    chat = Chat(writing)
    answer = list(chat.ask(question))[-1]
    assert [c.answer for c in answer.candidates[:2]] == ["美国", "哥斯达黎加"]
    triple = ("圣何塞(哥斯达黎加首都)", "所属国家", "哥斯达黎加")
    explained = writing.explain(answer)
    assert (explained.decided_by, [t[1:4] for t in explained.evidence]) == ("generator", [triple])
    assert chat.do("/evidence") == " | ".join(triple)
    (mention,) = answer_to_json(answer)["mentions"]
    assert mention["entity"] == "圣何塞(哥斯达黎加首都)"


def test_another_kind_of_question_is_told(agent):
    answer = agent.ask("法国的首都是巴黎吗？")
    assert answer.text == "是"
    explained = agent.explain(answer)
    assert (explained.decided_by, explained.evidence[0].object) == ("kind", "巴黎")
    chain = agent.explain(agent.ask("首都是巴黎的国家的货币是什么？"))
    assert (chain.decided_by, chain.evidence[-1].object) == ("kind", "欧元")


def test_without_a_second_candidate_nothing_decided(agent):
    answer = agent.ask("xyzzy")
    assert agent.explain(answer) == answer.explain()
    assert answer.explain().decided_by is None
