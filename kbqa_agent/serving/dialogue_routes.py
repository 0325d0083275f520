"""`/api/dialogues`: a user's own conversations."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from kbqa_agent.serving.asked import Reply
from kbqa_agent.serving.connection import caller_of, json_reply
from kbqa_agent.serving.failures import ServingError
from kbqa_agent.serving.replies import DialogueReply, DialoguesReply, NewDialogueReply, reply_to_json
from kbqa_agent.serving.service import Service

__all__ = ["dialogue_routes"]

DialogueId = Annotated[str, Path(min_length=1, max_length=64)]


def dialogue_routes(service: Service) -> APIRouter:
    """Make the routes."""
    routes = APIRouter(prefix="/api/dialogues", tags=["dialogues"])
    store = service.dialogue_store

    @routes.post("", response_model=NewDialogueReply, status_code=201)
    async def begin(request: Request) -> Response:
        """Begin a dialogue, in which follow-up questions are understood."""
        if service.peers and service.settings.store is None:
            raise ServingError(409, "no dialogues are kept here: several servers answer, without a file in common")
        return json_reply({"id": await service.on_disk(store.create, caller_of(request).name)}, 201)

    @routes.get("", response_model=DialoguesReply)
    async def list_(request: Request) -> Response:
        """List your dialogues, the one used last first."""
        found = await service.on_disk(store.listed, caller_of(request).name)
        return json_reply({"dialogues": [summary._asdict() for summary in found]})

    @routes.get("/{dialogue}", response_model=DialogueReply)
    async def show(dialogue: DialogueId, request: Request) -> Response:
        """Give the turns of a dialogue of yours."""
        kept = await service.on_disk(store.turns, dialogue, caller_of(request).name)
        turns = []
        for answer_id, system, turn, rated in kept:
            understood = turn.question if turn.question != turn.said else None
            reply = Reply(turn.answer, answer_id, system, dialogue, understood)
            feedback = {"id": rated.feedback, "rating": rated.rating} if rated else None
            turns.append({"said": turn.said, "answer": reply_to_json(reply), "feedback": feedback})
        return json_reply({"id": dialogue, "turns": turns})

    @routes.delete("/{dialogue}", status_code=204)
    async def delete(dialogue: DialogueId, request: Request) -> Response:
        """Delete a dialogue of yours; feedback on its answers stays."""
        await service.dialogues.delete(dialogue, caller_of(request).name)
        return Response(status_code=204)

    return routes
