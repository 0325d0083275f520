"""Two systems side by side: blind, voted on, summed up, and exported for the reward model."""

from __future__ import annotations

import asyncio
import json

import httpx
import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("fastapi", reason="needs the extra [serve]")

from cli import main
from finetune.vote_rows import preferences_from_votes
from kb_index.errors import InputError, ModelError
from kbqa_agent.prompts import UNKNOWN
from kbqa_agent.server import ServeSettings, System, create_app
from kbqa_agent.serving.system_specs import systems_from
from kbqa_agent.serving.votes import Ballots, Vote, win_rates

LINES = """\
法国 ||| 首都 ||| 巴黎
法国 ||| 货币 ||| 欧元
"""
CAPITAL = "法国的首都是哪里？"


class Says:
    """A fake generator that writes one text."""

    def __init__(self, text):
        self.name, self.text = "says", text

    def score(self, prompt, answers):
        return np.zeros(len(answers), np.float32)

    def generate(self, prompts, max_new_tokens=48, *, among=None):
        return [self.text for _ in prompts]


@pytest.fixture(scope="module")
def agent(agent_of):
    return agent_of(LINES)


SYSTEMS = {
    "kbqa": System("kbqa", Says("巴黎"), free_text=True),
    "alone": System("alone", Says("里昂"), closed_book=True),
    "ranker": System("ranker"),
}


def run(work, agent, settings=None):
    async def main():
        app = create_app(agent, settings, systems=SYSTEMS)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client,
        ):
            return await work(client)

    return asyncio.run(main())


def test_two_systems_are_compared_in_the_open(agent):
    async def work(client):
        names = [system["name"] for system in (await client.get("/api/systems")).json()["systems"]]
        assert names == ["kbqa", "alone", "ranker"]
        body = {"question": CAPITAL, "systems": ["ranker", "alone"]}
        told = (await client.post("/api/compare", json=body)).json()
        assert told["names"] == {"left": "ranker", "right": "alone"}
        assert (told["left"]["answer"], told["right"]["answer"]) == ("巴黎", "里昂")
        assert (told["left"]["supported"], told["right"]["supported"]) == (True, False)
        for systems, status in ((["ranker", "ranker"], 400), (["ranker", "gpt"], 404), (["ranker"], 422)):
            reply = await client.post("/api/compare", json={"question": CAPITAL, "systems": systems})
            assert reply.status_code == status

    run(work, agent)


def test_a_blind_comparison_tells_the_names_with_the_vote(agent, tmp_path):
    store = tmp_path / "serve.sqlite"

    async def work(client):
        sides = set()
        for _ in range(12):
            body = {"question": CAPITAL, "systems": ["ranker", "alone"], "blind": True}
            told = (await client.post("/api/compare", json=body)).json()
            text = json.dumps(told, ensure_ascii=False)
            assert told["names"] is None
            assert "ranker" not in text
            assert "alone" not in text
            assert told["left"]["timings_ms"] == {}
            right_side = "left" if told["left"]["answer"] == "巴黎" else "right"
            sides.add(right_side)
            vote = {"comparison_id": told["comparison_id"], "winner": right_side}
            named = (await client.post("/api/votes", json=vote)).json()
            assert named[right_side] == "ranker"
            assert (await client.post("/api/votes", json=vote)).status_code == 404
        assert sides == {"left", "right"}
        return (await client.get("/api/votes")).json()

    told = run(work, agent, ServeSettings(store=store))
    assert (told["votes"], told["pairs"][0]["systems"], told["pairs"][0]["wins"]) == (12, ["alone", "ranker"], [0, 12])
    assert told["pairs"][0]["win_rate"] == 0
    out = tmp_path / "preferences.jsonl"
    result = CliRunner().invoke(main, ["feedback", "votes", "--store", str(store), "--out", str(out)])
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 12
    assert {(row["chosen"], row["rejected"]) for row in rows} == {("巴黎", "里昂")}
    assert rows[0]["prompt"].endswith(f"问：{CAPITAL}\n答：")


def vote(left, right, winner, answers=("巴黎", "里昂")):
    prompt = f"【法国】\n首都：巴黎\n问：{CAPITAL}\n答："
    return Vote("li", CAPITAL, prompt, left, right, *answers, True, winner)


def test_win_rates_count_whichever_side_a_system_stood_on():
    ballots = [("a", "b", "left", 1), ("b", "a", "right", 1), ("b", "a", "left", 1), ("a", "b", "tie", 1)]
    [rate] = win_rates(Ballots(*ballot) for ballot in ballots)
    assert (rate.systems, rate.wins, rate.ties, rate.win_rate) == (("a", "b"), (2, 1), 1, 2 / 3)
    assert rate.interval == pytest.approx((0.2077, 0.9385), abs=1e-3)


def test_a_tie_and_what_no_triple_says_teach_nothing():
    votes = [vote("a", "b", "tie"), vote("a", "b", "right"), vote("a", "b", "left", (None, "里昂"))]
    found = preferences_from_votes(votes)
    assert [(pair.chosen, pair.rejected) for pair in found.pairs] == [(UNKNOWN, "里昂")]
    assert (found.n_without_pair, found.n_unsupported) == (1, 1)


def test_systems_are_named_on_the_command_line():
    assert list(systems_from(["plain=none"])) == ["plain", "ranker"]
    for spec, text in (
        ("plain", "expected NAME=MODEL"),
        ("=none", "expected NAME=MODEL"),
        ("a=m,x,y", "expected NAME=MODEL"),
        ("a=none,closed-book", "the ranker alone"),
        ("ranker=none", "is always there"),
    ):
        with pytest.raises(InputError, match=text):
            systems_from([spec])
    with pytest.raises(InputError, match="twice"):
        systems_from(["a=none", "a=none"])
    with pytest.raises(ModelError, match="need a generator"):
        System("a", closed_book=True)
