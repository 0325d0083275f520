"""The application over ASGI: questions, dialogues, feedback, look-ups, and what is refused."""

from __future__ import annotations

import json
import shutil

import pytest

pytest.importorskip("fastapi", reason="needs the extra [serve]")

from kb_index.shards.build import ShardedBuild
from kbqa_agent import AgentConfig, FeedbackStore, KBQAgent
from kbqa_agent.server import ServeSettings

LINES = """\
法国 ||| 首都 ||| 巴黎
法国 ||| 货币 ||| 欧元
德国 ||| 首都 ||| 柏林
巴黎 ||| 人口 ||| 210万
李明(画家) ||| 出生地 ||| 山东
李明(歌手) ||| 出生地 ||| 台北
坏人 ||| 名言 ||| <script>alert(1)</script>
"""
CAPITAL = {"question": "法国的首都是哪里？"}


@pytest.fixture(scope="module")
def shared_agent(agent_of):
    return agent_of(LINES)


@pytest.fixture
def agent(shared_agent, tmp_path):
    agent = shared_agent
    with FeedbackStore(tmp_path / "feedback.sqlite") as store:
        agent.use_feedback(store)
        yield agent
        agent.use_feedback(None)


def events_of(text):
    blocks = [block.split("\n") for block in text.strip().split("\n\n")]
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in blocks]


def test_a_server_tells_which_shards_are_missing_and_marks_its_answers(serve, tmp_path):
    triples = [line.split(" ||| ") for line in LINES.splitlines()]
    ShardedBuild(4, progress=False).run([triples], tmp_path / "index")
    shutil.rmtree(tmp_path / "index" / "shards" / "0000")

    async def work(client):
        asked = await client.post("/api/ask", json=CAPITAL)
        info = await client.get("/api/info")
        return asked.json()["partial"], info.json()["index"]["missing_shards"]

    with KBQAgent.open(tmp_path / "index", "none", config=AgentConfig(partial=True)) as agent:
        assert serve(work, agent) == (True, ["0000"])


def test_a_question_is_answered_with_its_evidence(serve, agent):
    async def work(client):
        reply = await client.post("/api/ask", json=CAPITAL)
        assert reply.status_code == 200
        return reply.json()

    told = serve(work, agent)
    assert (told["answer"], told["values"], told["dialogue"], told["understood"]) == ("巴黎", ["巴黎"], None, None)
    assert told["candidates"][0]["evidence"][0]["object"] == "巴黎"
    assert told["sentence"].startswith("答案是“巴黎”")
    assert told["system"] == "ranker"


def test_a_chat_tells_the_shortlist_before_the_answer(serve, agent):
    async def work(client):
        reply = await client.post("/api/chat", json=CAPITAL)
        assert reply.headers["content-type"].startswith("text/event-stream")
        return events_of(reply.text)

    (first, shortlist), (last, answer) = serve(work, agent)
    assert (first, last) == ("shortlist", "answer")
    assert [c["answer"] for c in shortlist["candidates"]] == ["巴黎", "欧元"]
    assert answer["answer"] == "巴黎"


def test_a_dialogue_makes_follow_ups_whole_and_can_be_read_and_deleted(serve, agent):
    async def work(client):
        number = (await client.post("/api/dialogues")).json()["id"]
        await client.post("/api/ask", json={**CAPITAL, "dialogue": number})
        second = (await client.post("/api/ask", json={"question": "那德国呢？", "dialogue": number})).json()
        assert (second["answer"], second["understood"]) == ("柏林", "德国的首都是哪里？")
        [listed] = (await client.get("/api/dialogues")).json()["dialogues"]
        assert (listed["id"], listed["title"], listed["turns"]) == (number, CAPITAL["question"], 2)
        shown = (await client.get(f"/api/dialogues/{number}")).json()
        assert [turn["said"] for turn in shown["turns"]] == [CAPITAL["question"], "那德国呢？"]
        assert shown["turns"][1]["answer"]["answer_id"] == second["answer_id"]
        assert (await client.delete(f"/api/dialogues/{number}")).status_code == 204
        assert (await client.get(f"/api/dialogues/{number}")).status_code == 404
        gone = await client.post("/api/ask", json={**CAPITAL, "dialogue": number})
        assert gone.json()["error"]["type"] == "not_found"

    serve(work, agent)


def test_homonyms_are_asked_back_in_a_dialogue_and_a_reply_picks_one(serve, agent):
    async def work(client):
        number = (await client.post("/api/dialogues")).json()["id"]
        asked = (await client.post("/api/ask", json={"question": "李明的出生地是哪里？", "dialogue": number})).json()
        assert (asked["answer"], asked["abstained"]) == (None, "ambiguous")
        assert [choice["entity"] for choice in asked["choices"]] == ["李明(画家)", "李明(歌手)"]
        picked = (await client.post("/api/ask", json={"question": "第二个", "dialogue": number})).json()
        assert picked["answer"] == "台北"

    serve(work, agent)


def test_dialogues_and_their_answers_outlive_the_server(serve, agent, tmp_path):
    settings = ServeSettings(store=tmp_path / "serve.sqlite")

    async def begin(client):
        number = (await client.post("/api/dialogues")).json()["id"]
        answer = (await client.post("/api/ask", json={**CAPITAL, "dialogue": number})).json()
        return number, answer["answer_id"]

    number, answer_id = serve(begin, agent, settings)

    async def go_on(client):
        told = (await client.post("/api/ask", json={"question": "那德国呢？", "dialogue": number})).json()
        assert told["answer"] == "柏林"
        given = await client.post("/api/feedback", json={"answer_id": answer_id, "rating": "good"})
        assert given.json() == {"id": 1}

    serve(go_on, agent, settings)


def test_feedback_is_kept_counts_and_is_taken_back(serve, agent):
    async def work(client):
        answer = (await client.post("/api/ask", json=CAPITAL)).json()
        body = {"answer_id": answer["answer_id"], "rating": "bad", "correction": "里昂", "comment": "当然"}
        number = (await client.post("/api/feedback", json=body)).json()["id"]
        changed = (await client.post("/api/ask", json=CAPITAL)).json()
        assert "里昂" in [c["answer"] for c in changed["candidates"]]
        [row] = (await client.get("/api/feedback")).json()["feedback"]
        assert (row["id"], row["rating"], row["correction"], row["undone"]) == (number, "bad", "里昂", False)
        assert row["answer_id"] == body["answer_id"]
        assert (await client.delete(f"/api/feedback/{number}")).status_code == 204
        assert (await client.delete(f"/api/feedback/{number}")).status_code == 409
        assert (await client.delete("/api/feedback/99")).status_code == 404
        [row] = (await client.get("/api/feedback")).json()["feedback"]
        assert (row["undone"], row["answer_id"]) == (True, None)
        wrong = await client.post("/api/feedback", json={**body, "rating": "good"})
        assert (wrong.status_code, wrong.json()["error"]["type"]) == (400, "bad_request")

    serve(work, agent)


def test_a_dialogue_tells_what_you_think_of_its_answers(serve, agent):
    async def work(client):
        number = (await client.post("/api/dialogues")).json()["id"]
        reply = (await client.post("/api/ask", json={**CAPITAL, "dialogue": number})).json()
        show = lambda: client.get(f"/api/dialogues/{number}")  # noqa: E731
        assert (await show()).json()["turns"][0]["feedback"] is None
        given = [
            (await client.post("/api/feedback", json={"answer_id": reply["answer_id"], "rating": rating})).json()["id"]
            for rating in ("good", "bad")
        ]
        assert (await show()).json()["turns"][0]["feedback"] == {"id": given[1], "rating": "bad"}
        await client.delete(f"/api/feedback/{given[1]}")
        assert (await show()).json()["turns"][0]["feedback"] == {"id": given[0], "rating": "good"}

    serve(work, agent)


def test_names_are_completed_and_neighbourhoods_shown(serve, agent):
    async def work(client):
        found = (await client.get("/api/entities", params={"prefix": "李"})).json()["entities"]
        assert [entity["name"] for entity in found] == ["李明(画家)", "李明(歌手)"]
        described = (await client.get("/api/entities", params={"prefix": "李明（歌"})).json()["entities"]
        assert [entity["name"] for entity in described] == ["李明(歌手)"]
        [capital, currency] = (await client.get("/api/triples", params={"name": "法国"})).json()["triples"]
        assert (capital["object"], capital["object_is_entity"]) == ("巴黎", True)
        assert (currency["object"], currency["object_is_entity"]) == ("欧元", False)
        shown = (await client.get("/api/triples", params={"name": "巴黎"})).json()
        assert [t["object"] for t in shown["triples"]] == ["210万"]
        assert [t["subject"] for t in shown["about"]] == ["法国"]
        number = shown["entities"][0]["id"]
        assert (await client.get("/api/triples", params={"entity": number})).json() == shown
        for wrong, status in (({}, 400), ({"entity": 1, "name": "法国"}, 400), ({"name": "月球"}, 404)):
            assert (await client.get("/api/triples", params=wrong)).status_code == status

    serve(work, agent)


def test_short_and_well_known_names_come_first(serve, agent_of):
    lines = "王芳芳 ||| 职业 ||| 歌手\n王家 ||| 国家 ||| 法国\n王国 ||| 国家 ||| 法国\n王国 ||| 首都 ||| 巴黎\n"

    async def work(client):
        reply = await client.get("/api/entities", params={"prefix": "王", "limit": 2})
        assert [entity["name"] for entity in reply.json()["entities"]] == ["王国", "王家"]

    serve(work, agent_of(lines))


def test_a_hostile_value_is_data(serve, agent):
    async def work(client):
        reply = await client.post("/api/ask", json={"question": "坏人的名言是什么？"})
        assert reply.json()["answer"] == "<script>alert(1)</script>"
        assert reply.headers["content-type"] == "application/json"
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in reply.headers["content-security-policy"]

    serve(work, agent)


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({}, 422, "question: Field required; GET /openapi.json has what is expected"),
        ({"question": " "}, 400, "the question is empty; ask something"),
        ({"question": 1}, 422, "question: Input should be a valid string; GET /openapi.json has what is expected"),
        ({**CAPITAL, "more": 1}, 422, "more: Extra inputs are not permitted; GET /openapi.json has what is expected"),
        ({**CAPITAL, "system": "gpt"}, 404, "system 'gpt': expected one of ranker"),
        (b'{"question": ', 422, "the body is no JSON (at character 13); send one object"),
        (b'{"question": "\xff"}', 400, "the body cannot be read; send JSON in UTF-8"),
        ({**CAPITAL, "dialogue": "x"}, 404, "no such dialogue; GET /api/dialogues lists yours, POST makes one"),
    ],
)
@pytest.mark.parametrize("route", ["/api/ask", "/api/chat"])
def test_what_cannot_be_asked_is_refused_in_one_line(serve, agent, route, body, status, text):
    async def work(client):
        if isinstance(body, bytes):
            return await client.post(route, content=body, headers={"Content-Type": "application/json"})
        return await client.post(route, json=body)

    reply = serve(work, agent)
    assert (reply.status_code, reply.json()["error"]["message"]) == (status, text)


def test_a_body_without_its_type_is_told_so(serve, agent):
    async def work(client):
        for headers in ({}, {"Content-Type": "application/x-www-form-urlencoded"}):
            reply = await client.post("/api/ask", content=b'{"question": "a"}', headers=headers)
            assert reply.status_code == 422
            assert reply.json()["error"]["message"] == (
                "the body is not read without its type; send Content-Type: application/json"
            )

    serve(work, agent)


def test_info_health_and_unknown_paths(serve, agent):
    async def work(client):
        info = (await client.get("/api/info")).json()
        assert (info["index"]["triples"], info["model"], info["key_needed"]) == (7, None, False)
        assert [s["name"] for s in info["systems"]] == ["ranker"]
        assert (await client.get("/healthz")).json() == {"status": "ok"}
        assert (await client.get("/readyz")).json() == {"status": "ready"}
        unknown = await client.get("/nothing")
        assert (unknown.status_code, unknown.json()["error"]["type"]) == (404, "not_found")
        assert (await client.get("/api/ask")).status_code == 405
        await client.post("/api/ask", json=CAPITAL)
        figures = (await client.get("/metrics")).text
        assert 'kbqa_answers_total{abstained="no",system="ranker"} 1.0' in figures
        assert 'kbqa_requests_total{method="POST",route="/api/ask",status="200"} 1.0' in figures

    serve(work, agent)
