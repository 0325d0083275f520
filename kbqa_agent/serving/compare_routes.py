"""`/api/compare` and `/api/votes`: two systems side by side, blind if wanted, and which answer people prefer."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from kbqa_agent.serving.asked import Asked, Reply
from kbqa_agent.serving.bodies import ComparisonBody, VoteBody
from kbqa_agent.serving.comparisons import Comparison
from kbqa_agent.serving.connection import caller_of, json_reply, while_wanted
from kbqa_agent.serving.failures import ServingError
from kbqa_agent.serving.replies import reply_to_json
from kbqa_agent.serving.server_replies import ComparisonReply, VoteReply, VotesReply
from kbqa_agent.serving.service import Service
from kbqa_agent.serving.systems import Fleet
from kbqa_agent.serving.votes import Vote, VoteStore, win_rates

__all__ = ["compare_routes"]


def compare_routes(service: Service) -> APIRouter:
    """Make the routes."""
    routes = APIRouter(prefix="/api", tags=["comparisons"])
    votes = VoteStore(service.database)

    @routes.post("/compare", response_model=ComparisonReply)
    async def compare(body: ComparisonBody, request: Request) -> Response:
        """Ask two systems the same question."""
        user = caller_of(request).name
        sides = list(body.systems)
        if sides[0] == sides[1]:
            raise ServingError(400, f"systems: {sides[0]!r} twice; name two different ones of GET /api/systems")
        if body.blind:
            secrets.SystemRandom().shuffle(sides)
        left, right = await while_wanted(request, _both(service, body.question, user, sides))
        number = service.comparisons.keep(Comparison(user, body.question, left, right, body.blind))
        return json_reply(
            {
                "comparison_id": number,
                "left": _shown(left, body.blind),
                "right": _shown(right, body.blind),
                "names": None if body.blind else {"left": left.system, "right": right.system},
            }
        )

    @routes.post("/votes", response_model=VoteReply)
    async def vote(body: VoteBody, request: Request) -> Response:
        """Say which answer is better; the names of the systems are told then."""
        user = caller_of(request).name
        compared = await service.find_comparison(body.comparison_id, user)
        if compared is None:
            raise ServingError(404, "no such comparison of yours, or it has your vote; compare again")
        if compared.left.timed_out or compared.right.timed_out:
            raise ServingError(409, "a generator took too long, and the ranker answered for it; compare again")
        prompt = await service.with_fleet(lambda fleet: _prompt(fleet, compared))
        left, right = compared.left, compared.right
        given = Vote(
            user, compared.question, prompt, left.system, right.system, left.answer.text, right.answer.text,
            compared.blind, body.winner,
        )  # fmt: skip
        number = await service.on_disk(votes.add, body.comparison_id, given)
        service.comparisons.forget(body.comparison_id)
        return json_reply({"id": number, "left": left.system, "right": right.system, "winner": body.winner})

    @routes.get("/votes", response_model=VotesReply)
    async def results() -> Response:
        """Sum up the votes of all users, pair by pair."""
        found = await service.on_disk(votes.counted)
        return json_reply({"pairs": [asdict(pair) for pair in win_rates(found)], "votes": sum(b.n for b in found)})

    return routes


async def _both(service: Service, question: str, user: str, sides: list[str]) -> tuple[Reply, Reply]:
    for name in sides:
        service.source.now.system(name)  # before either is asked
    tasks = [asyncio.ensure_future(service.ask(Asked(question, user, system=name))) for name in sides]
    try:
        left, right = await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
    return left, right


def _shown(reply: Reply, blind: bool) -> dict[str, Any]:
    """The answer; in a blind comparison without what would tell which system gave it."""
    told = reply_to_json(reply)
    return {**told, "system": None, "timings_ms": {}, "generator": None} if blind else told


def _prompt(fleet: Fleet, compared: Comparison) -> str:
    """What a generator is asked for the question."""
    answer = compared.left.answer
    now = fleet.base.as_of_now()
    return now.prompt(answer.question, now.rank_again(answer))
