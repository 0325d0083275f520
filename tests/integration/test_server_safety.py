"""Trying to get round keys, limits and the separation of users; a full queue, slow work, and clients that go away."""

from __future__ import annotations

import asyncio
import logging
import threading

import httpx
import numpy as np
import pytest

pytest.importorskip("fastapi", reason="needs the extra [serve]")

from kb_index.errors import InputError
from kbqa_agent import AgentConfig, FeedbackStore, KBQAgent
from kbqa_agent.server import Keys, ServeSettings, create_app
from kbqa_agent.serving.buckets import Buckets

LINES = """\
法国 ||| 首都 ||| 巴黎
法国 ||| 货币 ||| 欧元
德国 ||| 首都 ||| 柏林
"""
CAPITAL = {"question": "法国的首都是哪里？"}
LI, WANG, ROOT = "li-has-a-long-key-1", "wang-has-a-long-key-2", "root-has-a-long-key-3"


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
        return ["巴黎"]


@pytest.fixture(scope="module")
def shared_agent(agent_of):
    return agent_of(LINES)


@pytest.fixture
def agent(shared_agent, tmp_path):
    with FeedbackStore(tmp_path / "feedback.sqlite") as store:
        shared_agent.use_feedback(store)
        yield shared_agent
        shared_agent.use_feedback(None)


@pytest.fixture
def keys(tmp_path):
    path = tmp_path / "keys.txt"
    path.write_text(f"# who may call\nli {LI}\nwang {WANG}\nroot {ROOT} admin\n", encoding="utf-8")
    path.chmod(0o600)
    return path


def run(work, agent, settings=None, client=("127.0.0.1", 50000), **given):
    async def main():
        app = create_app(agent, settings, **given)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=client)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as opened,
        ):
            opened.service = app.state.service
            return await work(opened)

    return asyncio.run(main())


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


def slow_agent(agent, generator):
    return KBQAgent(agent.kb, agent.ranker, generator, AgentConfig(generator="always"))


async def until(condition):
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


ROUTES = [
    ("POST", "/api/ask"),
    ("POST", "/api/chat"),
    ("GET", "/api/dialogues"),
    ("POST", "/api/feedback"),
    ("GET", "/api/entities?prefix=a"),
    ("GET", "/api/triples?entity=1"),
    ("POST", "/api/compare"),
    ("GET", "/api/votes"),
    ("GET", "/v1/models"),
    ("POST", "/v1/chat/completions"),
    ("POST", "/api/admin/reload"),
    ("GET", "/metrics"),
    ("POST", "/mcp"),
    ("GET", "/nothing"),
]
WRONG = [
    {},
    {"Authorization": "Bearer"},
    {"Authorization": "Bearer "},
    {"Authorization": f"Bearer {LI}x"},
    {"Authorization": f"Bearer {LI[:-1]}"},
    {"Authorization": f"Basic {LI}"},
    {"Authorization": LI},
    {"X-API-Key": LI},
    {"Cookie": f"Authorization=Bearer {LI}"},
    {"X-Forwarded-For": "127.0.0.1"},
]


def test_without_a_right_key_nothing_is_done(agent, keys):
    settings = ServeSettings(api_key_file=keys)

    async def work(client):
        for method, path in ROUTES:
            reply = await client.request(method, path, json=CAPITAL if method == "POST" else None)
            assert reply.status_code == 401, path
            assert reply.headers["www-authenticate"] == "Bearer"
            client.service.given  # noqa: B018
        for path in ("/", "/healthz", "/readyz", "/api/info", "/openapi.json"):
            assert (await client.get(path)).status_code == 200
        assert (await client.get("/api/dialogues", headers=bearer(LI))).status_code == 200

    run(work, agent, settings)


@pytest.mark.parametrize("headers", WRONG)
def test_no_other_way_of_sending_a_key_is_taken(agent, keys, headers):
    async def work(client):
        assert (await client.get("/api/dialogues", headers=headers)).status_code == 401
        assert (await client.get(f"/api/dialogues?api_key={LI}", headers=headers)).status_code == 401
        assert (await client.get("/static/../api/dialogues", headers=headers)).status_code in (401, 404)
        assert (await client.get("//api/dialogues", headers=headers)).status_code == 401

    run(work, agent, ServeSettings(api_key_file=keys))


def test_the_digest_of_a_key_opens_nothing(tmp_path):
    import hashlib

    digest = hashlib.sha256(LI.encode()).hexdigest()
    path = tmp_path / "keys"
    path.write_text(f"li sha256:{digest}\n")
    read = Keys.read(path)
    assert read.caller(LI).name == "li"
    assert read.caller(f"sha256:{digest}") is None
    assert read.caller(digest) is None
    assert read.caller("") is read.caller(None) is None


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "no key in it"),
        ("li\n", "line 1: 1 words"),
        ("li short\n", "line 1: the key has 5 characters"),
        (f"li {LI}\nli {WANG}\n", "line 2: li has a key already"),
        (f"l/i {LI}\n", "line 1: the name is no word"),
        (f"local {LI}\n", "line 1: the name local is whoever needs no key"),
        (f"li {LI} owner\n", "line 1: 3 words"),
    ],
)
def test_a_wrong_file_of_keys_is_refused_without_telling_a_key(tmp_path, text, fault):
    path = tmp_path / "keys"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=fault) as told:
        Keys.read(path)
    assert LI not in str(told.value)
    assert WANG not in str(told.value)


def test_users_see_nothing_of_each_other(agent, keys):
    async def work(client):
        number = (await client.post("/api/dialogues", headers=bearer(LI))).json()["id"]
        asked = await client.post("/api/ask", headers=bearer(LI), json={**CAPITAL, "dialogue": number})
        rated = {"answer_id": asked.json()["answer_id"], "rating": "good"}
        feedback = (await client.post("/api/feedback", headers=bearer(LI), json=rated)).json()["id"]
        compared = {"question": CAPITAL["question"], "systems": ["a", "ranker"]}
        comparison = (await client.post("/api/compare", headers=bearer(LI), json=compared)).json()["comparison_id"]

        other = bearer(WANG)
        assert (await client.get("/api/dialogues", headers=other)).json() == {"dialogues": []}
        assert (await client.get("/api/feedback", headers=other)).json() == {"feedback": []}
        for method, path, body in (
            ("GET", f"/api/dialogues/{number}", None),
            ("DELETE", f"/api/dialogues/{number}", None),
            ("POST", "/api/ask", {**CAPITAL, "dialogue": number}),
            ("POST", "/api/chat", {**CAPITAL, "dialogue": number}),
            ("POST", "/api/feedback", rated),
            ("DELETE", f"/api/feedback/{feedback}", None),
            ("POST", "/api/votes", {"comparison_id": comparison, "winner": "left"}),
        ):
            reply = await client.request(method, path, headers=other, json=body)
            assert (reply.status_code, reply.json()["error"]["type"]) == (404, "not_found"), path
        shown = (await client.get(f"/api/dialogues/{number}", headers=bearer(LI))).json()
        assert len(shown["turns"]) == 1
        assert (await client.get("/api/feedback", headers=bearer(LI))).json()["feedback"][0]["undone"] is False

    from kbqa_agent.server import System

    run(work, agent, ServeSettings(api_key_file=keys), systems={"ranker": System("ranker"), "a": System("a")})


def test_only_an_admin_may_reload(agent, keys):
    async def work(client):
        assert (await client.post("/api/admin/reload", headers=bearer(LI))).status_code == 403
        assert (await client.post("/api/admin/reload", headers=bearer(ROOT))).json()["reloaded"] is False

    run(work, agent, ServeSettings(api_key_file=keys))


def test_a_server_open_to_others_needs_keys_or_a_word(keys):
    with pytest.raises(InputError, match="--api-key-file"):
        ServeSettings(host="0.0.0.0")
    for settings in ({"no_auth": True}, {"api_key_file": keys}):
        assert ServeSettings(host="0.0.0.0", **settings).requests_per_second == 20
    assert ServeSettings().requests_per_second == 0
    with pytest.raises(InputError, match="any site could call"):
        ServeSettings(cors_origins=("*",))


def test_strangers_are_told_apart_by_address_and_may_not_reload(agent):
    settings = ServeSettings(host="0.0.0.0", no_auth=True)

    async def work(client):
        number = (await client.post("/api/dialogues", headers={"X-Forwarded-For": "9.9.9.9"})).json()["id"]
        assert (await client.get(f"/api/dialogues/{number}")).status_code == 200  # the header is not believed
        assert (await client.post("/api/admin/reload")).status_code == 403

    run(work, agent, settings, client=("192.0.2.1", 1))


def test_what_a_proxy_passes_on_is_not_this_machines_user(agent):
    async def work(client):
        number = (await client.post("/api/dialogues")).json()["id"]
        passed_on = {"X-Forwarded-For": "127.0.0.1"}
        assert (await client.get(f"/api/dialogues/{number}", headers=passed_on)).status_code == 404
        assert (await client.post("/api/admin/reload", headers=passed_on)).status_code == 403
        assert (await client.post("/api/admin/reload")).status_code == 200

    run(work, agent)


def test_a_user_who_asks_much_does_not_push_out_anothers_answer(agent, keys):
    async def work(client):
        async def ask(key):
            return (await client.post("/api/ask", headers=bearer(key), json=CAPITAL)).json()["answer_id"]

        async def rate(key, number):
            body = {"answer_id": number, "rating": "good"}
            return (await client.post("/api/feedback", headers=bearer(key), json=body)).status_code

        first, other = await ask(LI), await ask(WANG)
        for _ in range(6):
            await ask(WANG)
        assert (await rate(LI, first), await rate(WANG, other)) == (200, 404)

    run(work, agent, ServeSettings(api_key_file=keys, answers_kept=4))


def test_pages_of_other_sites_are_refused(agent):
    async def work(client):
        foreign = await client.post("/api/ask", json=CAPITAL, headers={"Origin": "https://evil.example"})
        assert (foreign.status_code, foreign.json()["error"]["type"]) == (403, "forbidden")
        assert "access-control-allow-origin" not in foreign.headers
        null = await client.post("/api/ask", json=CAPITAL, headers={"Origin": "null"})
        assert null.status_code == 403
        own = await client.post("/api/ask", json=CAPITAL, headers={"Origin": "http://127.0.0.1:8000"})
        assert own.status_code == 200
        rebound = await client.get("/api/info", headers={"Host": "evil.example"})
        assert rebound.status_code == 421
        plain = await client.post("/api/ask", content='{"question": "a"}', headers={"Content-Type": "text/plain"})
        assert plain.status_code == 422

    run(work, agent)


def test_a_named_site_may_call(agent):
    site = "https://friend.example"

    async def work(client):
        asked = {
            "Origin": site,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization",
        }
        before = await client.options("/api/ask", headers=asked)
        assert (before.status_code, before.headers["access-control-allow-origin"]) == (200, site)
        reply = await client.post("/api/ask", json=CAPITAL, headers={"Origin": site})
        assert (reply.status_code, reply.headers["access-control-allow-origin"]) == (200, site)
        other = await client.post("/api/ask", json=CAPITAL, headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in other.headers

    run(work, agent, ServeSettings(cors_origins=(site,)))


async def parts(n, size=10_000):
    yield b'{"question": "'
    for _ in range(n):
        yield b"a" * size
    yield b'"}'


def test_large_bodies_are_refused_however_they_come(agent):
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

    run(work, agent)


def test_a_caller_has_so_many_requests_and_no_more(agent, keys):
    settings = ServeSettings(api_key_file=keys, rate=0.001, burst=3)

    async def work(client):
        statuses = [(await client.get("/api/feedback", headers=bearer(LI))).status_code for _ in range(5)]
        assert statuses == [200, 200, 200, 429, 429]
        refused = await client.get("/api/feedback", headers={**bearer(LI), "X-Forwarded-For": "9.9.9.9"})
        assert (refused.status_code, refused.json()["error"]["type"]) == (429, "rate_limited")
        assert int(refused.headers["retry-after"]) > 0
        assert (await client.get("/api/feedback", headers=bearer(WANG))).status_code == 200

    run(work, agent, settings)


def test_guessing_keys_is_slowed(agent, keys):
    async def work(client):
        tries = [await client.get("/api/feedback", headers=bearer(f"guess-{i:020}")) for i in range(30)]
        assert [reply.status_code for reply in tries].count(429) >= 8
        assert (await client.get("/api/feedback", headers=bearer(LI))).status_code == 200

    run(work, agent, ServeSettings(api_key_file=keys))


def test_buckets_fill_steadily():
    now = [0.0]
    buckets = Buckets(2, 2, clock=lambda: now[0])
    assert [buckets.wait("li") for _ in range(3)] == [0, 0, 0.5]
    now[0] = 0.5
    assert [buckets.wait("li") for _ in range(2)] == [0, 0.5]


def test_a_full_queue_says_when_to_come_again_and_recovers(agent):
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

    run(work, slow_agent(agent, generator), settings)


def test_a_request_has_so_much_time(agent):
    generator = Slow()

    async def work(client):
        late = await client.post("/api/ask", json=CAPITAL)
        assert (late.status_code, late.json()["error"]["type"]) == (504, "timeout")
        chat = await client.post("/api/chat", json=CAPITAL)
        assert chat.status_code == 200
        assert chat.text.splitlines()[3] == "event: error"
        assert client.service.questions.n_inside == client.service.generations.n_inside == 0
        generator.go_on.set()

    run(work, slow_agent(agent, generator), ServeSettings(request_seconds=0.3))


def test_work_that_nobody_waits_for_is_not_begun(agent):
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

    run(work, slow_agent(agent, generator))


def test_what_fails_tells_nothing_of_itself(agent, monkeypatch, caplog):
    def fail(*_):
        raise ZeroDivisionError("secret")

    async def work(client):
        monkeypatch.setattr(type(agent), "resolve_many", fail)
        reply = await client.post("/api/ask", json=CAPITAL)
        assert (reply.status_code, "secret" in reply.text) == (500, False)
        assert reply.headers["x-content-type-options"] == "nosniff"

    with caplog.at_level(logging.ERROR):
        run(work, agent)
    assert "ZeroDivisionError" in caplog.text
    caplog.clear()  # what it raised holds the index


@pytest.mark.parametrize("wanted", [False, True])
def test_questions_are_logged_only_if_wanted(agent, caplog, wanted):
    async def work(client):
        await client.post("/api/ask", json=CAPITAL)
        await client.get("/api/entities", params={"prefix": "法国"})
        await client.post("/api/ask", json={"question": " 法国" * 600})

    with caplog.at_level(logging.DEBUG):
        run(work, agent, ServeSettings(log_questions=wanted))
    told = [r.getMessage() for r in caplog.records if r.name.startswith(("kbqa", "uvicorn", "fastapi"))]
    assert any("法国" in line for line in told) is wanted
    assert any("/api/entities 200" in line for line in told)
