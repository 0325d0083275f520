"""An answer while it is made, the asynchronous twins, and one agent in many threads while its index is reopened."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from kb_index import KnowledgeBase, build_index
from kb_index.errors import QuestionError
from kbqa_agent import AgentConfig, Dialogue, FeedbackStore, KBQAgent
from kbqa_agent.streaming import Piece, Shortlist
from kbqa_agent.types import Answer

LINES = """\
法国 ||| 首都 ||| 巴黎
法国 ||| 货币 ||| 欧元
德国 ||| 首都 ||| 柏林
巴黎 ||| 人口 ||| 210万
"""


class Spells:
    """A fake generator that writes one text, a character at a time; it may be held up after the first."""

    name = "spells"

    def __init__(self, text, held=False):
        self.text, self.n_written, self.go_on = text, 0, threading.Event()
        if not held:
            self.go_on.set()

    def score(self, prompt, answers):
        return np.zeros(len(answers), np.float32)

    def generate(self, prompts, max_new_tokens=48, *, among=None):
        return [self.text for _ in prompts]

    def stream(self, prompt, max_new_tokens=48):
        for character in self.text:
            self.n_written += 1
            yield character
            self.go_on.wait(60)


class StepByStep(Spells):
    """A fake generator that writes a character for each step that it is let go."""

    def __init__(self, text):
        super().__init__(text)
        self.steps = threading.Semaphore(0)
        self.go_on.wait = lambda seconds: self.steps.acquire(timeout=seconds)


class WritesWhole:
    """A fake generator that cannot stream."""

    name = "whole"
    score = Spells.score

    def generate(self, prompts, max_new_tokens=48, *, among=None):
        return ["柏林" for _ in prompts]


@pytest.fixture
def agent(agent_of):
    return agent_of(LINES)


def writing(agent, generator, **config):
    return KBQAgent(agent.kb, agent.ranker, generator, AgentConfig(free_text=True, **config))


def plain(answer):
    return replace(answer, timings={})


def test_the_shortlist_comes_before_the_answer(agent):
    shortlist, answer = agent.stream("法国的首都是哪里？")
    assert [m.text for m in shortlist.mentions] == ["法国"]
    assert [c.answer for c in shortlist.candidates] == ["巴黎", "欧元"]
    assert plain(answer) == plain(agent.ask("法国的首都是哪里？"))


def test_the_generators_text_comes_piece_by_piece_while_it_writes(agent):
    generator = Spells("巴黎", held=True)
    events = writing(agent, generator).stream("法国的首都是哪里？")
    assert isinstance(next(events), Shortlist)
    assert next(events) == Piece("巴")
    assert generator.n_written == 1  # it is still writing
    generator.go_on.set()
    piece, answer = events
    assert piece == Piece("黎")
    assert plain(answer) == plain(writing(agent, generator).ask("法国的首都是哪里？"))
    assert answer.text == "巴黎"


def test_what_cannot_stream_or_is_constrained_is_told_whole(agent):
    whole = list(writing(agent, WritesWhole()).stream("法国的首都是哪里？"))
    assert whole[1] == Piece("柏林")
    assert (whole[2].text, whole[2].supported) == ("柏林", False)
    constrained = list(writing(agent, Spells("巴黎"), decoding="constrained").stream("法国的首都是哪里？"))
    assert constrained[1] == Piece("巴黎")


def test_a_closed_book_is_streamed_too(agent):
    closed = KBQAgent(agent.kb, agent.ranker, Spells("里昂"), AgentConfig(closed_book=True, generator="always"))
    *pieces, answer = closed.stream("法国的首都是哪里？")
    assert pieces == [Piece("里"), Piece("昂")]
    assert (answer.text, answer.supported) == ("里昂", False)


def test_the_shorter_questions_of_a_chain_are_not_told(agent):
    *_, answer = events = list(writing(agent, Spells("210万")).stream("法国的首都的人口是多少？"))
    assert [type(event) for event in events] == [Shortlist, Answer]
    assert answer.text == "210万"


def test_who_stops_listening_stops_the_generator(agent):
    generator = Spells("巴" * 100, held=True)
    events = writing(agent, generator).stream("法国的首都是哪里？")
    assert [type(next(events)) for _ in range(2)] == [Shortlist, Piece]
    events.close()
    generator.go_on.set()
    wait_for_the_thread("kbqa-stream")
    assert generator.n_written == 2  # the second was on its way


def wait_for_the_thread(name):
    for thread in threading.enumerate():
        if thread.name == name:
            thread.join(60)
            assert not thread.is_alive()


def test_a_dialogue_is_kept_while_streaming(agent):
    dialogue = Dialogue()
    first, follow_up = ([*agent.stream(q, dialogue)][-1] for q in ("法国的首都是哪里？", "那德国呢？"))
    assert (first.text, follow_up.text) == ("巴黎", "柏林")
    assert [turn.answer.text for turn in dialogue.turns] == ["巴黎", "柏林"]


def test_a_question_that_cannot_be_asked_is_told_at_once(agent):
    with pytest.raises(QuestionError, match="empty"):
        agent.stream("")


def test_a_tuned_model_streams_what_it_writes(agent, generator):
    *pieces, answer = writing(agent, generator).stream("法国的首都是哪里？")
    text = "".join(piece.text for piece in pieces[1:])
    assert text == generator.generate([writing_prompt(agent)])[0]
    assert answer == replace(writing(agent, generator).ask("法国的首都是哪里？"), timings=answer.timings)


def writing_prompt(agent):
    from kbqa_agent.prompts import answer_prompt

    return answer_prompt("法国的首都是哪里？", agent.best_triples("法国的首都是哪里？", 10))


def test_the_asynchronous_twins_give_the_same(agent):
    questions = ["法国的首都是哪里？", "德国的首都是哪里？"]

    async def main():
        one = await agent.aask(questions[0])
        many = [answer async for answer in agent.aask_many(questions)]
        events = [event async for event in agent.astream(questions[0])]
        with pytest.raises(QuestionError):
            await agent.aask(" ")
        with pytest.raises(QuestionError):
            _ = [answer async for answer in agent.aask_many([*questions, " "])]
        return one, many, events

    one, many, events = asyncio.run(main())
    assert plain(one) == plain(agent.ask(questions[0]))
    assert [answer.text for answer in many] == ["巴黎", "柏林"]
    assert [type(event) for event in events] == [Shortlist, Answer]


def test_the_event_loop_goes_on_while_a_generator_writes(agent):
    generator = Spells("巴黎", held=True)

    async def main():
        asked = asyncio.create_task(writing(agent, generator).aask("法国的首都是哪里？"))
        events = writing(agent, generator).astream("法国的首都是哪里？")
        seen = [await anext(events), await anext(events)]
        for _ in range(5):
            await asyncio.sleep(0.001)
        generator.go_on.set()
        return [*seen, *[event async for event in events]], await asked

    events, answer = asyncio.run(main())
    assert [type(event) for event in events] == [Shortlist, Piece, Piece, Answer]
    assert answer.text == "巴黎"


def test_a_cancelled_task_waits_no_longer_and_the_generator_stops(agent):
    generator = StepByStep("巴" * 100)

    async def main():
        events = writing(agent, generator).astream("法国的首都是哪里？")

        async def listen():
            async for _ in events:
                pass

        task = asyncio.create_task(listen())
        while generator.n_written == 0:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 1)
        await events.aclose()

    asyncio.run(main())
    assert generator.n_written == 1  # it still waits, and nobody waits for it
    generator.steps.release()
    wait_for_the_thread("kbqa-async")  # it takes the second character, and then closes
    generator.steps.release(100)
    wait_for_the_thread("kbqa-stream")
    assert generator.n_written in (2, 3)  # of a hundred: what its thread had begun, and at most one more


def test_async_with_closes_the_index(tmp_path, monkeypatch):
    build_index([[("法国", "首都", "巴黎")]], tmp_path / "index", progress=False)
    closed = []
    monkeypatch.setattr(KnowledgeBase, "close", lambda kb: closed.append(kb.path))

    async def main():
        async with KBQAgent.open(tmp_path / "index", model="none") as agent:
            assert (await agent.aask("法国的首都是哪里？")).candidates[0].answer == "巴黎"
            assert closed == []

    asyncio.run(main())
    assert closed == [tmp_path / "index"]


class CountsItsCallers:
    """A fake generator that finds out whether several threads are in it at once."""

    name = "counts"

    def __init__(self):
        self.inside = self.most = 0

    def score(self, prompt, answers):
        return self.asked(np.zeros(len(answers), np.float32))

    def generate(self, prompts, max_new_tokens=48, *, among=None):
        return self.asked(["巴黎"] * len(prompts))

    def asked(self, reply):
        self.inside += 1
        self.most = max(self.most, self.inside)
        time.sleep(0.005)  # others would come in
        self.inside -= 1
        return reply


class Concurrent(CountsItsCallers):
    """The same, of those that several threads may ask."""

    def executor(self):
        return ThreadPoolExecutor(2)


@pytest.mark.parametrize(("kind", "together"), [(CountsItsCallers, False), (Concurrent, True)])
@pytest.mark.parametrize("how", ["free_text", "closed_book"])
def test_a_generator_is_asked_by_several_threads_at_once_only_if_it_may_be(agent, kind, together, how):
    generator = kind()
    asking = KBQAgent(agent.kb, agent.ranker, generator, AgentConfig(generator="always", **{how: True}))
    ways = [
        lambda: asking.ask("法国的首都是哪里？"),
        lambda: list(asking.stream("法国的首都是哪里？")),
        lambda: list(asking.ask_many(["法国的首都是哪里？", "德国的首都是哪里？"])),
    ]
    with ThreadPoolExecutor(6) as pool:
        for done in [pool.submit(way) for way in ways * 6]:
            done.result()
    assert (generator.most > 1) == together
    assert generator.inside == 0


def stations(state, n):
    order = range(n) if state == "old" else reversed(range(n))
    return [(f"第{i:03}号站", "站长", f"{state}{i:03}") for i in order]


class Reopened(KnowledgeBase):
    """A knowledge base that somebody reopens each time after the entities of a question were found."""

    def entities(self, ids):
        found = super().entities(ids)
        self.original.reopen()
        return found


def test_a_question_sees_one_state_of_the_index_whoever_reopens_it(tmp_path, agent):
    build_index([stations("old", 9)], tmp_path / "index", progress=False)
    kb = Reopened.open(tmp_path / "index")
    kb.original = kb
    asking = KBQAgent(kb, agent.ranker, None, AgentConfig(min_confidence=0))
    build_index([stations("new", 9)], tmp_path / "index", progress=False)
    assert asking.ask("第001号站的站长是谁？").candidates[0].evidence[0][1:4] == ("第001号站", "站长", "old001")
    assert asking.ask("第001号站的站长是谁？").candidates[0].evidence[0][1:4] == ("第001号站", "站长", "new001")
    build_index([stations("old", 9)], tmp_path / "index", progress=False)
    many = asking.ask_many(["第001号站的站长是谁？", "第002号站的站长是谁？"])
    assert [answer.candidates[0].answer for answer in many] == ["new001", "new002"]
    kb.close()


def test_so_do_feedback_and_what_trainings_ask_for(tmp_path, agent):
    def change(state):
        build_index([stations(state, 9)], tmp_path / "index", progress=False)

    question = "第001号站的站长是谁？"
    change("old")
    kb = Reopened.open(tmp_path / "index")
    kb.original, before = kb, kb.manifest
    asking = KBQAgent(kb, agent.ranker, Spells(""), AgentConfig(min_confidence=0, generator="never"))
    with FeedbackStore(tmp_path / "feedback.sqlite") as store:
        asking.use_feedback(store)
        answer = asking.ask(question)
        change("new")
        asking.give_feedback(answer, "good")
        (record,) = store.records()
    assert record.shown.prompt.startswith("【第001号站】\n站长：old001\n")
    assert record.shown.system.index.created == before.created
    change("old")
    assert asking.best_triples(question, 1)[0][1:4] == ("第001号站", "站长", "new001")
    change("new")
    assert asking.likelihoods(question)[0][0].answer == "old001"
    kb.close()


def test_many_threads_share_one_agent_while_its_index_is_rebuilt_and_reopened(tmp_path, agent):
    """Two states of the index number the entities differently: what mixes them would name another entity."""
    n = 40
    folder = tmp_path / "index"
    build_index([stations("old", n)], folder, progress=False)
    with KBQAgent(KnowledgeBase.open(folder), agent.ranker, None, AgentConfig(min_confidence=0)) as shared:

        def ask(i):
            return [(i, shared.ask(f"第{i:03}号站的站长是谁？")) for _ in range(15)]

        def ask_all(_):
            questions = [f"第{i:03}号站的站长是谁？" for i in range(n)]
            return list(enumerate(shared.ask_many(questions)))

        def rebuild():
            for k in range(6):
                build_index([stations(("new", "old")[k % 2], n)], folder, progress=False)
                assert shared.kb.reopen()

        with ThreadPoolExecutor(12) as pool:
            rebuilding = pool.submit(rebuild)
            found = [pool.submit(ask, i % 8) for i in range(24)] + [pool.submit(ask_all, None) for _ in range(6)]
            answers = [pair for future in found for pair in future.result()]
            rebuilding.result()
    assert len(answers) == 24 * 15 + 6 * n
    for i, answer in answers:
        (evidence,) = answer.candidates[0].evidence
        assert evidence.subject == f"第{i:03}号站"
        assert answer.candidates[0].answer in (f"old{i:03}", f"new{i:03}")
