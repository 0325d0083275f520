"""How much is taken on, and for how long: sizes, rates, full queues, slow work, and clients that go away."""

from __future__ import annotations

import asyncio
import threading

import httpx
import numpy as np
import pytest

pytest.importorskip("fastapi", reason="needs the extra [serve]")

from kbqa_agent import AgentConfig, FeedbackStore, KBQAgent
from kbqa_agent.server import ServeSettings, System, create_app
from kbqa_agent.serving.buckets import Buckets

LINES = """\
法国 ||| 首都 ||| 巴黎
法国 ||| 货币 ||| 欧元
德国 ||| 首都 ||| 柏林
"""
CAPITAL = {"question": "法国的首都是哪里？"}
LI, WANG = "li-has-a-long-key-1", "wang-has-a-long-key-2"


class Slow:
    """A fake generator that waits for a test, and counts how often it is asked."""

    name = "slow"

    def __init__(self):
        self.go_on, self.n_asked = threading.Event(), 0

    def score(self, prompt, answers):
        self.n_asked += 1
        assert self.go_on.wait(60)
        return np.zeros(len(answers), np.float32)

    def generate(self, prompts, max_new_tokens=48, *, among=None):
        assert self.go_on.wait(60)
        return ["巴黎"]


@pytest.fixture(scope="module")
def agent(agent_of):
    return agent_of(LINES)


@pytest.fixture
def keys(tmp_path):
    path = tmp_path / "keys.txt"
    path.write_text(f"li {LI}\nwang {WANG}\n", encoding="utf-8")
    path.chmod(0o600)
    return path


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


def slow_agent(agent, generator):
    return KBQAgent(agent.kb, agent.ranker, generator, AgentConfig(generator="always"))


async def until(condition):
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


async def parts(n, size=10_000):
    yield b'{"question": "'
    for _ in range(n):
        yield b"a" * size
    yield b'"}'


def test_large_bodies_are_refused_however_they_come(serve, agent):
    async def work(client):
        for content, headers in (
            (b"x" * 70_000, {}),
            (parts(8), {}),  # chunked, without a length
            (parts(8), {"Content-Length": "10"}),
        ):
            sent = {"Content-Type": "application/json", **headers}
            reply = await client.post("/api/ask", content=content, headers=sent)
            assert (reply.status_code, reply.json()["error"]["type"]) == (413, "too_large")
        long = await client.post("/api/ask", json={"question": "长" * 2001})
        assert long.status_code == 422
        many = [{"role": "user", "content": "a"}] * 101
        reply = await client.post("/v1/chat/completions", json={"model": "ranker", "messages": many})
        assert (reply.status_code, reply.json()["error"]["type"]) == (400, "invalid_request_error")
        deep = await client.post("/api/ask", content=b"[" * 60_000, headers={"Content-Type": "application/json"})
        assert deep.status_code in (400, 422)

    serve(work, agent)


def test_a_caller_has_so_many_requests_and_no_more(serve, agent, keys):
    settings = ServeSettings(api_key_file=keys, rate=0.001, burst=3)

    async def work(client):
        statuses = [(await client.get("/api/dialogues", headers=bearer(LI))).status_code for _ in range(5)]
        assert statuses == [200, 200, 200, 429, 429]
        refused = await client.get("/api/dialogues", headers={**bearer(LI), "X-Forwarded-For": "9.9.9.9"})
        assert (refused.status_code, refused.json()["error"]["type"]) == (429, "rate_limited")
        assert int(refused.headers["retry-after"]) > 0
        assert (await client.get("/api/dialogues", headers=bearer(WANG))).status_code == 200

    serve(work, agent, settings)


def test_buckets_fill_steadily():
    now = [0.0]
    buckets = Buckets(2, 2, clock=lambda: now[0])
    assert [buckets.wait("li") for _ in range(3)] == [0, 0, 0.5]
    now[0] = 0.5
    assert [buckets.wait("li") for _ in range(2)] == [0, 0.5]


def test_a_full_queue_says_when_to_come_again_and_recovers(serve, agent):
    generator = Slow()
    settings = ServeSettings(waiting_generations=2, waiting_questions=3)

    async def work(client):
        running = [asyncio.create_task(client.post("/api/ask", json=CAPITAL)) for _ in range(2)]
        await until(lambda: client.service.generations.n_inside == 2)
        full = await client.post("/api/ask", json=CAPITAL)
        assert (full.status_code, full.json()["error"]["type"]) == (503, "overloaded")
        assert int(full.headers["retry-after"]) >= 1
        look_up = await client.get("/api/triples", params={"name": "法国"})
        assert look_up.status_code == 200  # no look-up waits for the generator
        ranked = await client.post("/api/ask", json={**CAPITAL, "system": "ranker"})
        assert ranked.json()["answer"] == "巴黎"
        generator.go_on.set()
        assert [(await task).status_code for task in running] == [200, 200]
        assert (await client.post("/api/ask", json=CAPITAL)).status_code == 200

    serve(work, slow_agent(agent, generator), settings)


def test_a_request_has_so_much_time(serve, agent):
    generator = Slow()

    async def work(client):
        late = await client.post("/api/ask", json=CAPITAL)
        assert (late.status_code, late.json()["error"]["type"]) == (504, "timeout")
        assert (await client.post("/api/chat", json=CAPITAL)).status_code == 504
        assert client.service.questions.n_inside == client.service.generations.n_inside == 0
        generator.go_on.set()

    systems = {"alone": System("alone", generator, closed_book=True)}  # no ranker answers in its place
    serve(work, agent, ServeSettings(request_seconds=0.3), systems=systems)


def test_work_that_nobody_waits_for_is_not_begun(serve, agent):
    generator = Slow()

    async def work(client):
        tasks = [asyncio.create_task(client.post("/api/ask", json=CAPITAL)) for _ in range(3)]
        await until(lambda: client.service.generations.n_inside == 3 and generator.n_asked == 1)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await until(lambda: client.service.generations.n_inside == 0)
        generator.go_on.set()
        assert (await client.post("/api/ask", json=CAPITAL)).status_code == 200
        assert generator.n_asked == 2

    serve(work, slow_agent(agent, generator))


def test_feedback_of_one_user_is_taken_so_often_and_the_same_once(serve, agent_of, keys, tmp_path):
    agent = agent_of(LINES)

    async def work(client):
        number = (await client.post("/api/ask", headers=bearer(LI), json=CAPITAL)).json()["answer_id"]

        async def rate(rating, key=LI):
            reply = await client.post(
                "/api/feedback", headers=bearer(key), json={"answer_id": number, "rating": rating}
            )
            return reply.status_code if reply.status_code != 200 else reply.json()["id"]

        assert [await rate("good"), await rate("good"), await rate("bad"), await rate("good")] == [1, 1, 2, 429]
        other = (await client.post("/api/ask", headers=bearer(WANG), json=CAPITAL)).json()["answer_id"]
        given = {"answer_id": other, "rating": "good"}
        assert (await client.post("/api/feedback", headers=bearer(WANG), json=given)).json() == {"id": 3}

    with FeedbackStore(tmp_path / "feedback.sqlite") as store:
        agent.use_feedback(store)
        serve(work, agent, ServeSettings(api_key_file=keys, feedback_per_day=3))


def test_one_key_does_not_hold_all_there_is(serve, agent, keys):
    generator = Slow()

    async def work(client):
        running = [asyncio.create_task(client.post("/api/ask", headers=bearer(LI), json=CAPITAL)) for _ in range(2)]
        await until(lambda: client.service.generations.n_inside == 2)
        third = await client.post("/api/ask", headers=bearer(LI), json=CAPITAL)
        assert (third.status_code, third.json()["error"]["type"]) == (503, "overloaded")
        other = asyncio.create_task(client.post("/api/ask", headers=bearer(WANG), json=CAPITAL))
        await until(lambda: client.service.generations.n_inside == 3)
        generator.go_on.set()
        assert [(await task).status_code for task in (*running, other)] == [200] * 3

    serve(work, slow_agent(agent, generator), ServeSettings(api_key_file=keys, waiting_generations=4))


def test_where_the_generator_takes_too_long_the_ranker_answers_and_says_so(serve, agent):
    generator = Slow()
    systems = {"kbqa": System("kbqa", generator), "ranker": System("ranker")}

    async def work(client):
        told = (await client.post("/api/ask", json=CAPITAL)).json()
        assert (told["answer"], told["generator"], told["system"]) == ("巴黎", "timed out", "kbqa")
        assert told["candidates"][0]["score"] == 0.8
        alone = (await client.post("/api/ask", json={**CAPITAL, "system": "ranker"})).json()
        assert (alone["answer"], alone["generator"]) == ("巴黎", None)
        chat = await client.post("/api/chat", json=CAPITAL)
        assert [line for line in chat.text.splitlines() if "event" in line] == ["event: shortlist", "event: answer"]
        asked = {**CAPITAL, "systems": ["kbqa", "ranker"]}
        compared = (await client.post("/api/compare", json=asked)).json()
        assert (compared["left"]["generator"], compared["right"]["generator"]) == ("timed out", None)
        vote = {"comparison_id": compared["comparison_id"], "winner": "left"}
        assert (await client.post("/api/votes", json=vote)).status_code == 409  # it would be the ranker's own
        assert client.service.questions.n_inside == client.service.generations.n_inside == 0
        generator.go_on.set()

    serve(work, slow_agent(agent, generator), ServeSettings(request_seconds=0.5), systems=systems)


def test_figures_are_told_while_a_comparison_waits_for_the_generator(serve, agent):
    generator = Slow()
    systems = {"kbqa": System("kbqa", generator), "ranker": System("ranker")}

    async def work(client):
        asked = {**CAPITAL, "systems": ["kbqa", "ranker"]}
        compared = asyncio.create_task(client.post("/api/compare", json=asked))
        await until(lambda: generator.n_asked)
        figures = await asyncio.wait_for(client.get("/metrics"), 10)
        assert 'kbqa_under_way{what="questions"} 1.0' in figures.text
        generator.go_on.set()
        assert (await compared).status_code == 200

    serve(work, slow_agent(agent, generator), systems=systems)


@pytest.mark.parametrize("path", ["/api/ask", "/mcp"])
def test_who_hangs_up_is_not_worked_for(agent, listening, path):
    generator = Slow()
    app = create_app(slow_agent(agent, generator))
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "ask", "arguments": CAPITAL}}
    headers = {"Accept": "application/json, text/event-stream"}

    async def work(url):
        service = app.state.service
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=60) as client:
            body = CAPITAL if path == "/api/ask" else call
            asked = asyncio.create_task(client.post(path, json=body, headers=headers))
            await until(lambda: service.generations.n_inside == 1)
            asked.cancel()
            await until(lambda: service.generations.n_inside == service.questions.n_inside == 0)

    with listening(app) as url:
        asyncio.run(work(url))
        assert httpx.get(f"{url}/mcp", headers=headers, trust_env=False).status_code == 405
        generator.go_on.set()


def test_one_question_that_fails_fails_alone(serve, agent, monkeypatch):
    class Says(Slow):
        def generate(self, prompts, max_new_tokens=48, *, among=None):
            return ["巴黎"]

    resolve = KBQAgent.resolve

    def failing(self, question, dialogue=None):
        if "德国" in question:
            raise RecursionError
        return resolve(self, question, dialogue)

    monkeypatch.setattr(KBQAgent, "resolve", failing)

    async def work(client):
        for _ in range(2):
            failed = await client.post("/api/ask", json={"question": "德国的首都是哪里？"})
            assert failed.status_code == 500
            told = await client.post("/api/ask", json=CAPITAL)
            assert told.json()["answer"] == "巴黎"

    serve(work, agent, systems={"alone": System("alone", Says(), closed_book=True)})
