"""Servers that share an address and a disk: what one of them began, another goes on with."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import httpx
import pytest

pytest.importorskip("fastapi", reason="needs the extra [serve]")

from kbqa_agent.server import ServeSettings, create_app
from kbqa_agent.serving.failures import ServingError

LINES = "法国 ||| 首都 ||| 巴黎\n德国 ||| 首都 ||| 柏林\n法国 ||| 货币 ||| 欧元\n"
CAPITAL = {"question": "法国的首都是哪里？"}


class Peers:
    """Asks several services in this process, as Ray Serve's replicas are asked over the network."""

    def __init__(self):
        self.services = []

    async def reload(self):
        return any([await service.reload() for service in self.services])

    async def given_answer(self, number, user):
        for service in self.services:
            try:
                return service.given.find(number, user)
            except ServingError:
                continue
        return None

    async def comparison(self, number, user):
        found = [service.comparisons.find(number, user) for service in self.services]
        return next(filter(None, found), None)


@pytest.fixture
def with_two(agent_of, tmp_path):
    """Runs a test's coroutine with clients of two servers that are peers."""

    def run(work, store=tmp_path / "serve.sqlite"):
        async def main():
            agent, peers = agent_of(LINES), Peers()
            agent.use_feedback(tmp_path / "feedback.sqlite")
            async with AsyncExitStack() as opened:
                opened.callback(agent.use_feedback, None)
                clients = []
                for _ in range(2):
                    app = create_app(agent, ServeSettings(store=store), peers=peers)
                    await opened.enter_async_context(app.router.lifespan_context(app))
                    peers.services.append(app.state.service)
                    transport = httpx.ASGITransport(app, client=("127.0.0.1", 50000))
                    client = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000")
                    clients.append(await opened.enter_async_context(client))
                return await work(*clients)

        return asyncio.run(main())

    return run


def test_a_dialogue_goes_on_at_another_server(with_two):
    async def work(here, there):
        number = (await here.post("/api/dialogues")).json()["id"]
        said = ["法国的首都是哪里？", "那德国呢？", "那法国呢？", "那货币呢？"]
        told = [
            (await client.post("/api/ask", json={"question": question, "dialogue": number})).json()
            for question, client in zip(said, [here, there, here, there], strict=True)
        ]
        assert [reply["answer"] for reply in told] == ["巴黎", "柏林", "巴黎", "欧元"]
        assert len((await here.get(f"/api/dialogues/{number}")).json()["turns"]) == 4
        assert (await there.delete(f"/api/dialogues/{number}")).status_code == 204
        gone = await here.post("/api/ask", json={"question": "那德国呢？", "dialogue": number})
        assert gone.status_code == 404

    with_two(work)


def test_an_answer_of_one_server_is_rated_at_another(with_two):
    async def work(here, there):
        answer = (await here.post("/api/ask", json=CAPITAL)).json()
        body = {"answer_id": answer["answer_id"], "rating": "bad", "correction": "里昂"}
        assert (await there.post("/api/feedback", json=body)).json() == {"id": 1}
        judged = (await here.post("/api/ask", json=CAPITAL)).json()
        assert "里昂" in [c["answer"] for c in judged["candidates"]]
        unknown = await there.post("/api/feedback", json={"answer_id": "x" * 22, "rating": "good"})
        assert unknown.status_code == 404
        assert (await there.post("/api/admin/reload")).json()["reloaded"] is False
        assert [service.source.n_reloads for service in there_services(there)] == [1, 1]

    def there_services(client):
        return client._transport.app.state.service.peers.services

    with_two(work)


def test_servers_without_a_file_in_common_begin_no_dialogue(with_two):
    async def work(here, there):
        refused = await there.post("/api/dialogues")
        assert (refused.status_code, refused.json()["error"]["type"]) == (409, "conflict")
        assert "without a file in common" in refused.json()["error"]["message"]
        assert (await here.post("/api/ask", json=CAPITAL)).json()["answer"] == "巴黎"

    with_two(work, None)
