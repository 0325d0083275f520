"""Trying to get round keys and the separation of users; what pages of other sites may do, and what a log tells."""

from __future__ import annotations

import logging

import pytest

pytest.importorskip("fastapi", reason="needs the extra [serve]")

from kb_index.errors import InputError
from kbqa_agent import FeedbackStore
from kbqa_agent.server import Keys, ServeSettings

LINES = """\
法国 ||| 首都 ||| 巴黎
法国 ||| 货币 ||| 欧元
德国 ||| 首都 ||| 柏林
"""
CAPITAL = {"question": "法国的首都是哪里？"}
LI, WANG, ROOT = "li-has-a-long-key-1", "wang-has-a-long-key-2", "root-has-a-long-key-3"


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


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


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


def test_without_a_right_key_nothing_is_done(serve, agent, keys):
    settings = ServeSettings(api_key_file=keys)

    async def work(client):
        for method, path in ROUTES:
            reply = await client.request(method, path, json=CAPITAL if method == "POST" else None)
            assert reply.status_code == 401, path
            assert reply.headers["www-authenticate"] == "Bearer"
        assert not client.service.given._given
        assert client.service.questions.n_inside == 0
        for path in ("/", "/healthz", "/readyz", "/api/info", "/openapi.json"):
            assert (await client.get(path)).status_code == 200
        assert (await client.get("/api/dialogues", headers=bearer(LI))).status_code == 200

    serve(work, agent, settings)


@pytest.mark.parametrize("headers", WRONG)
def test_no_other_way_of_sending_a_key_is_taken(serve, agent, keys, headers):
    async def work(client):
        assert (await client.get("/api/dialogues", headers=headers)).status_code == 401
        assert (await client.get(f"/api/dialogues?api_key={LI}", headers=headers)).status_code == 401
        assert (await client.get("/static/../api/dialogues", headers=headers)).status_code in (401, 404)
        assert (await client.get("//api/dialogues", headers=headers)).status_code == 401

    serve(work, agent, ServeSettings(api_key_file=keys))


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
        (f"li {LI}\nwang {LI}\n", "line 2: another name has this key"),
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


def test_users_see_nothing_of_each_other(serve, agent, keys):
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

    serve(work, agent, ServeSettings(api_key_file=keys), systems={"ranker": System("ranker"), "a": System("a")})


def test_only_an_admin_may_reload(serve, agent, keys):
    async def work(client):
        assert (await client.post("/api/admin/reload", headers=bearer(LI))).status_code == 403
        assert (await client.post("/api/admin/reload", headers=bearer(ROOT))).json()["reloaded"] is False

    serve(work, agent, ServeSettings(api_key_file=keys))


def test_a_server_open_to_others_needs_keys_or_a_word(keys):
    with pytest.raises(InputError, match="--api-key-file"):
        ServeSettings(host="0.0.0.0")
    for settings in ({"no_auth": True}, {"api_key_file": keys}):
        assert ServeSettings(host="0.0.0.0", **settings).requests_per_second == 20
    assert ServeSettings().requests_per_second == 0
    with pytest.raises(InputError, match="any site could call"):
        ServeSettings(cors_origins=("*",))


def test_strangers_are_told_apart_by_address_and_may_not_reload(serve, agent):
    settings = ServeSettings(host="0.0.0.0", no_auth=True)

    async def work(client):
        number = (await client.post("/api/dialogues", headers={"X-Forwarded-For": "9.9.9.9"})).json()["id"]
        assert (await client.get(f"/api/dialogues/{number}")).status_code == 200  # the header is not believed
        assert (await client.post("/api/admin/reload")).status_code == 403

    serve(work, agent, settings, client=("192.0.2.1", 1))


def test_what_a_proxy_passes_on_is_not_this_machines_user(serve, agent):
    async def work(client):
        number = (await client.post("/api/dialogues")).json()["id"]
        passed_on = {"X-Forwarded-For": "127.0.0.1"}
        assert (await client.get(f"/api/dialogues/{number}", headers=passed_on)).status_code == 404
        assert (await client.post("/api/admin/reload", headers=passed_on)).status_code == 403
        assert (await client.post("/api/admin/reload")).status_code == 200

    serve(work, agent)


def test_a_user_who_asks_much_does_not_push_out_anothers_answer(serve, agent, keys):
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

    serve(work, agent, ServeSettings(api_key_file=keys, answers_kept=4))


def test_callers_of_one_network_are_one(serve, agent):
    settings = ServeSettings(host="::", no_auth=True)

    async def begin(client):
        return (await client.post("/api/dialogues")).json()["id"]

    async def look(client):
        return [d["id"] for d in (await client.get("/api/dialogues")).json()["dialogues"]]

    number = serve(begin, agent, ServeSettings(host="::", no_auth=True), client=("2001:db8::1", 1))
    assert number

    async def both(client):
        number = await begin(client)
        assert await look(client) == [number]
        client._transport.client = ("2001:db8::2:3", 1)
        assert await look(client) == [number]
        client._transport.client = ("2001:db8:0:1::1", 1)
        assert await look(client) == []

    serve(both, agent, settings, client=("2001:db8::1", 1))


def test_a_server_has_the_names_that_it_is_given_beside_its_own(serve, agent):
    async def work(client):
        async def status(host, path="/api/info"):
            return (await client.get(path, headers={"Host": host})).status_code

        for host in ("kbqa.example", "KBQA.Example:8443", "localhost", "127.0.0.1:8000"):
            assert await status(host) == 200, host
        assert await status("evil.example") == 421
        assert await status("evil.example", "/healthz") == 200  # for who watches it, by whatever name

    serve(work, agent, ServeSettings(allowed_hosts=("Kbqa.example",)))


def test_who_has_no_key_is_not_told_which_models_answer(serve, agent, keys):
    from kbqa_agent.server import System

    class Elsewhere:
        name = "gpt@10.0.0.7:8000"

    async def work(client):
        told = (await client.get("/api/info")).json()
        assert (told["model"], "10.0.0.7" in str(told)) == (None, False)
        assert (await client.get("/api/info", headers=bearer(LI))).json()["model"] == "gpt@10.0.0.7:8000"
        wrong = await client.get("/api/dialogues", headers=bearer("not-the-key-of-anybody"))
        assert wrong.json()["error"]["message"] == "that key is not known; send one as Authorization: Bearer KEY"

    serve(work, agent, ServeSettings(api_key_file=keys), systems={"gpt": System("gpt", Elsewhere())})


def test_what_the_server_cannot_read_is_told_to_its_log_alone(serve, agent, monkeypatch, caplog):
    from kb_index.errors import StorageError

    def fail(*_, **__):
        raise StorageError("feedback '/var/lib/kbqa/index.feedback.sqlite': the disk is full")

    async def work(client):
        monkeypatch.setattr(FeedbackStore, "records", fail)
        refused = await client.get("/api/feedback")
        assert (refused.status_code, "/var/lib" in refused.text) == (503, False)

    serve(work, agent)
    assert "the disk is full" in caplog.text


def test_pages_of_other_sites_are_refused(serve, agent):
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

    serve(work, agent)


def test_a_named_site_may_call(serve, agent):
    site = "https://friend.example"

    async def work(client):
        asked = {
            "Origin": site,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization, x-stainless-os, mcp-protocol-version",
        }
        before = await client.options("/api/ask", headers=asked)
        assert (before.status_code, before.headers["access-control-allow-origin"]) == (200, site)
        reply = await client.post("/api/ask", json=CAPITAL, headers={"Origin": site})
        assert (reply.status_code, reply.headers["access-control-allow-origin"]) == (200, site)
        assert reply.headers["access-control-expose-headers"] == "Retry-After"
        other = await client.post("/api/ask", json=CAPITAL, headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in other.headers

    serve(work, agent, ServeSettings(cors_origins=(site,)))


def test_wrong_keys_are_refused_faster_and_right_ones_taken(serve, agent, keys):
    async def work(client):
        tries = [await client.get("/api/feedback", headers=bearer(f"guess-{i:020}")) for i in range(30)]
        assert [reply.status_code for reply in tries].count(429) >= 8
        assert (await client.get("/api/feedback", headers=bearer(LI))).status_code == 200

    serve(work, agent, ServeSettings(api_key_file=keys))


def test_what_fails_tells_nothing_of_itself(serve, agent, monkeypatch, caplog):
    def fail(*_):
        raise ZeroDivisionError("secret")

    async def work(client):
        monkeypatch.setattr(type(agent), "resolve_many", fail)
        reply = await client.post("/api/ask", json=CAPITAL)
        assert (reply.status_code, "secret" in reply.text) == (500, False)
        assert reply.headers["x-content-type-options"] == "nosniff"

    with caplog.at_level(logging.ERROR):
        serve(work, agent)
    assert "ZeroDivisionError" in caplog.text
    caplog.clear()  # what it raised holds the index


@pytest.mark.parametrize("wanted", [False, True])
def test_questions_are_logged_only_if_wanted(serve, agent, caplog, wanted):
    async def work(client):
        await client.post("/api/ask", json=CAPITAL)
        await client.get("/api/entities", params={"prefix": "法国"})
        await client.post("/api/ask", json={"question": " 法国" * 600})
        for tool, arguments in (
            ("ask", CAPITAL),
            ("find_entity", {"name": "法国"}),
            ("get_triples", {"entity_id": "法国"}),
        ):
            call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
            told = await client.post("/mcp", json=call, headers={"Accept": "application/json, text/event-stream"})
            assert told.status_code == 200

    with caplog.at_level(logging.DEBUG):
        serve(work, agent, ServeSettings(log_questions=wanted))
    told = [r.getMessage() for r in caplog.records if not r.name.startswith("http")]  # the test's own client
    assert any("法国" in line for line in told) is wanted
    assert any("/api/entities 200" in line for line in told)
