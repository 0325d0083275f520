"""Requests that nobody would write: what the OpenAPI document allows and forbids, and questions of any characters.

benchmarks/serve_fuzz.py sends 20,000 of them.
"""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

pytest.importorskip("fastapi", reason="needs the extra [serve]")
pytest.importorskip("schemathesis")

import schemathesis
from schemathesis.specs.openapi.checks import positive_data_acceptance

from kbqa_agent import FeedbackStore
from kbqa_agent.server import create_app

LINES = """\
法国 ||| 首都 ||| 巴黎
法国 ||| 货币 ||| 欧元
李明(画家) ||| 出生地 ||| 山东
李明(歌手) ||| 出生地 ||| 台北
"""


@pytest.fixture(scope="module")
def agent(agent_of):
    return agent_of(LINES)


@pytest.fixture
def app(agent, tmp_path):
    with FeedbackStore(tmp_path / "feedback.sqlite") as store:
        agent.use_feedback(store)
        yield create_app(agent)
        agent.use_feedback(None)


@pytest.mark.slow
def test_the_document_and_the_server_agree(app):
    schema = schemathesis.openapi.from_asgi("/openapi.json", app, headers={"Host": "127.0.0.1"})
    n_requests = 0

    def work(case):
        nonlocal n_requests
        n_requests += 1
        response = case.call(headers={"Host": "127.0.0.1"})
        # "One of entity and name" cannot be said in the document.
        case.validate_response(response, excluded_checks=[positive_data_acceptance])

    quick = settings(
        max_examples=5, deadline=None, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck)
    )
    for operation in schema.get_all_operations():
        strategy = operation.ok().as_strategy()
        quick(given(strategy)(work))()
    assert n_requests >= 50


ODD = "法国首都李明画家的是谁那他《》(){}<>|\\'\"%\x00\n\ud800"
QUESTIONS = st.text(max_size=60) | st.text(st.sampled_from(ODD), max_size=30)


def test_any_question_is_answered_or_refused(app):
    async def ask(question, dialogue):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            number = (await client.post("/api/dialogues")).json()["id"] if dialogue else None
            for _ in range(2):
                body = {"question": question, "dialogue": number}
                content = json.dumps(body).encode()
                reply = await client.post("/api/ask", content=content, headers={"Content-Type": "application/json"})
                assert reply.status_code in (200, 400, 422)
            await client.get("/api/entities", params={"prefix": question.encode("utf-8", "replace").decode()})

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(QUESTIONS, st.booleans())
    def check(question, dialogue):
        asyncio.run(ask(question, dialogue))

    check()
