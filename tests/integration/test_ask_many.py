"""Many questions at once get the answers that they get one by one: in batches, processes and threads."""

import logging
import os
import signal
import threading
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from shutil import copytree
from types import SimpleNamespace

import numpy as np
import pytest

from kb_index import build_index, update_index
from kb_index.errors import QuestionError
from kbqa_agent import AgentConfig, KBQAgent, batching, judging, workers
from kbqa_agent.qa_data import read_questions
from kbqa_agent.ranking import DEFAULT_RANKER, RANKER_FILE, load_ranker
from kbqa_agent.sample import sample_test, sample_triples

OTHER_KINDS = [
    "法国的首都是巴黎吗？",
    "首都是巴黎的国家的货币是什么？",
    "法国和日本的首都分别是什么？",
    "亚洲有哪些国家？",
]
QUESTIONS = [*OTHER_KINDS, *(e.question for e in read_questions(sample_test())), "xyzzy", "法国的首都\n是哪里？"]


class LikesShort:
    """A fake generator that several threads may ask: the shorter an answer, the likelier."""

    name = "short"

    def __init__(self):
        self.lock, self.asked = threading.Lock(), Counter()

    def score(self, prompt, answers):
        with self.lock:
            self.asked[prompt] += 1
        return -np.array([len(a) for a in answers], np.float32)

    def generate(self, prompts, max_new_tokens=48, *, among=None):
        raise AssertionError("it is to judge only")

    def executor(self):
        return ThreadPoolExecutor(3)


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sample") / "index"
    build_index([sample_triples()], folder, progress=False)
    return folder


@pytest.fixture(scope="module")
def agent(index):
    with KBQAgent.open(index, model="none") as opened:
        yield opened


@pytest.fixture(scope="module")
def one_by_one(agent):
    return plain(map(agent.ask, QUESTIONS))


def plain(answers):
    return [replace(answer, timings={}) for answer in answers]


def with_generator(agent, judge, **config):
    return KBQAgent(agent.kb, agent.ranker, judge, AgentConfig(**config))


@pytest.mark.parametrize("at_once", [1, 7, 1000])
def test_a_batch_of_any_size_gets_the_answers_of_one_by_one(agent, one_by_one, monkeypatch, at_once):
    monkeypatch.setattr(batching, "AT_ONCE", at_once)
    assert plain(agent.ask_many(QUESTIONS)) == one_by_one


def test_several_processes_give_the_answers_of_one_by_one(agent, one_by_one, caplog):
    assert plain(agent.ask_many(QUESTIONS, processes=2)) == one_by_one
    assert caplog.messages == []
    sure = with_generator(agent, None, min_confidence=0.9)
    assert plain(sure.ask_many(QUESTIONS[:60], processes=2)) == plain(map(sure.ask, QUESTIONS[:60]))
    half = KBQAgent(agent.kb, agent.ranker.expecting(0.5))
    assert plain(half.ask_many(QUESTIONS[:60], processes=2)) == plain(map(half.ask, QUESTIONS[:60]))


def test_who_asks_for_processes_is_told_where_there_can_be_none(agent, caplog, tmp_path):
    keeping = KBQAgent(agent.kb, agent.ranker)
    keeping.use_feedback(tmp_path / "feedback.sqlite")
    assert plain(keeping.ask_many(QUESTIONS[:2], processes=2)) == plain(map(agent.ask, QUESTIONS[:2]))
    keeping.use_feedback(None)
    assert caplog.messages == ["2 processes: none but this one can answer as this agent does; it answers alone"]


def test_processes_leave_the_callers_warnings_as_they_are(agent):
    answers = agent.ask_many(QUESTIONS[:120], processes=2)
    next(answers)
    with warnings.catch_warnings(record=True) as caught:
        list(answers)
        warnings.simplefilter("always")
        warnings.warn("seen", UserWarning, stacklevel=1)
    assert [str(w.message) for w in caught] == ["seen"]


@pytest.mark.parametrize(("use", "processes"), [("always", 1), ("unsure", 1), ("unsure", 2), ("always", 2)])
def test_the_generator_judges_in_threads_what_it_judges_one_by_one(agent, use, processes):
    alone, together = (with_generator(agent, LikesShort(), generator=use) for _ in range(2))
    asked = QUESTIONS[:120]
    assert plain(together.ask_many(asked, processes)) == plain(map(alone.ask, asked))
    assert together.generator.asked == alone.generator.asked
    assert len(alone.generator.asked) > 10


class JudgesTogether(LikesShort):
    """One that judges several prompts together."""

    def __init__(self):
        super().__init__()
        self.sizes = []

    def score_many(self, asked):
        self.sizes.append(len(asked))
        return [self.score(*one) for one in asked]


@pytest.mark.parametrize(("use", "processes"), [("always", 1), ("unsure", 2)])
def test_prompts_that_wait_are_judged_together(agent, use, processes):
    alone, together = (with_generator(agent, judge, generator=use) for judge in (LikesShort(), JudgesTogether()))
    asked = QUESTIONS[:60]
    answers = list(together.ask_many(asked, processes))
    assert plain(answers) == plain(map(alone.ask, asked))
    assert set(together.generator.asked) == set(alone.generator.asked)
    assert max(together.generator.sizes) in range(2, judging.TOGETHER + 1)
    assert use == "unsure" or all(a.timings["score"] > 0 for a in answers if a.candidates and "score" in a.timings)


def test_what_goes_wrong_in_a_thread_is_told_where_the_answer_is_wanted(agent):
    judge = JudgesTogether()
    judge.score = lambda *_: 1 / 0
    with pytest.raises(ZeroDivisionError):
        list(with_generator(agent, judge, generator="always").ask_many(QUESTIONS[:20]))


def test_a_question_that_fails_leaves_those_judged_with_it_their_answers(agent):
    judge = JudgesTogether()
    score, failed = judge.score, []

    def fail_for_one(prompt, answers):
        if "日本的首都" in prompt:
            failed.append(prompt)
            raise ZeroDivisionError
        return score(prompt, answers)

    judge.score = fail_for_one
    asking = with_generator(agent, judge, generator="always")
    with ThreadPoolExecutor(1) as pool:
        unjudged = [
            judging.Unjudged(q, None) for q in ("法国的首都是哪里？", "日本的首都是哪里？", "德国的首都是哪里？") * 3
        ]
        begun = judging.begin_judging(asking, pool, unjudged)
    assert [type(one.exception()) for one in begun] == [type(None), ZeroDivisionError, type(None)] * 3
    assert max(judge.sizes) > 1


def test_what_is_asked_twice_is_answered_once(agent, monkeypatch):
    ranked = Counter()
    monkeypatch.setattr(KBQAgent, "rank_many", lambda self, qs: ranked.update(qs) or rank_many(self, qs))
    asked = ["法国的首都是哪里？", "日本的首都是哪里？", "法国的首都是哪里？", "法国的首都是哪里？"]
    answers = list(agent.ask_many(asked))
    assert [a.text for a in answers] == ["巴黎", "东京", "巴黎", "巴黎"]
    assert answers[0] is answers[2] is answers[3]
    assert ranked == Counter(set(asked))


rank_many = KBQAgent.rank_many


def test_answers_come_as_they_are_wanted(agent, monkeypatch):
    ranked = []
    monkeypatch.setattr(KBQAgent, "rank_many", lambda self, qs: ranked.append(len(qs)) or rank_many(self, qs))
    answers = agent.ask_many(QUESTIONS)
    assert ranked == []
    assert next(answers).question == QUESTIONS[0]
    assert ranked == [batching.AT_ONCE]
    answers.close()
    assert list(agent.ask_many([])) == []


def test_workers_are_asked_each_distinct_question_once(agent, one_by_one):
    asked = []
    elsewhere = KBQAgent(agent.kb, agent.ranker)
    elsewhere.workers = SimpleNamespace(answers=lambda questions: asked.extend(questions) or agent.ask_many(questions))
    assert plain(elsewhere.ask_many([*QUESTIONS[:3], *QUESTIONS[:3]])) == one_by_one[:3] * 2
    assert asked == QUESTIONS[:3]


def test_a_question_that_cannot_be_asked_is_told_before_any_is(agent):
    with pytest.raises(QuestionError, match="is empty"):
        agent.ask_many(["法国的首都是哪里？", " "])


def test_the_time_of_a_batch_is_shared_by_its_questions(agent, monkeypatch):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr("kbqa_agent.ranked.time.perf_counter", lambda: clock.now)
    ranker = SimpleNamespace(rank=lambda q, m, triples: tick(clock) or (np.zeros(len(triples)),) * 2)
    slow = KBQAgent(agent.kb, ranker)
    answers = list(slow.ask_many(["法国的首都是哪里？", "日本的首都是哪里？"]))
    assert [a.timings["rank"] for a in answers] == [1000.0, 1000.0]  # of each, though the two take two seconds


def tick(clock):
    clock.now += 1.0


def test_a_process_that_is_ended_leaves_the_other_questions_to_this_one(agent, one_by_one, caplog, monkeypatch):
    parent = os.getpid()
    monkeypatch.setattr(workers, "_answers", ended_where_it_is_not(parent))
    with caplog.at_level(logging.WARNING):
        assert plain(agent.ask_many(QUESTIONS, processes=2)) == one_by_one
    assert "one of 2 processes was ended" in caplog.text
    assert "the other questions are asked in one process" in caplog.text


def ended_where_it_is_not(parent):
    def answers(kb, recipe, questions):
        if os.getpid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)

    return answers


def test_an_index_that_has_changed_since_is_asked_as_it_was(tmp_path, caplog):
    folder = tmp_path / "index"
    build_index([[("甲", "作者", "乙"), ("丙", "作者", "丁")]], folder, progress=False)
    with KBQAgent.open(folder, model="none", config=AgentConfig(min_confidence=0)) as agent:
        update_index([[("甲", "作者", "戊")]], folder, progress=False)
        answers = list(agent.ask_many(["甲的作者是谁？", "丙的作者是谁？"], processes=2))
        assert [{c.answer for c in a.candidates} for a in answers] == [{"乙"}, {"丁"}]
        assert "was changed while questions were asked" in caplog.text
        assert agent.kb.reopen()
        answers = list(agent.ask_many(["甲的作者是谁？"]))
        assert {c.answer for c in answers[0].candidates} == {"乙", "戊"}


def test_another_process_refuses_a_ranker_that_was_trained_since(agent, one_by_one, caplog, tmp_path):
    copytree(DEFAULT_RANKER, tmp_path / "ranker")
    old = KBQAgent(agent.kb, load_ranker(agent.kb, tmp_path / "ranker").expecting(AgentConfig().answerable_share))
    record = tmp_path / "ranker" / RANKER_FILE
    record.write_text(record.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert plain(old.ask_many(QUESTIONS, processes=2)) == one_by_one
    assert "was changed since it was opened" in caplog.text


@pytest.mark.slow
def test_the_embedded_model_judges_alike_in_threads_and_alone(index):
    pytest.importorskip("torch", reason="needs the extra [models]")
    for use in ("always", "unsure"):
        with KBQAgent.open(index, config=AgentConfig(generator=use)) as agent:
            asked = QUESTIONS[:8] if use == "always" else QUESTIONS[:40]
            first, again = (plain(agent.ask_many(asked, 2)) for _ in range(2))
            assert first == again
            for alone, together in zip(map(agent.ask, asked), first, strict=True):
                assert together.text == alone.text
                assert together.confidence == pytest.approx(alone.confidence, abs=0.05)
