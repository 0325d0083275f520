"""`/api/feedback`: what a user thinks of answers they got; a reply with a number means that it is on the disk."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from kbqa_agent.feedback_records import FeedbackRecord
from kbqa_agent.serving.bodies import MAX_ID, FeedbackBody
from kbqa_agent.serving.connection import caller_of, json_reply
from kbqa_agent.serving.replies import FeedbackGiven, FeedbackListReply
from kbqa_agent.serving.service import Service

__all__ = ["feedback_routes"]


def feedback_routes(service: Service) -> APIRouter:
    """Make the routes."""
    routes = APIRouter(prefix="/api/feedback", tags=["feedback"])

    @routes.post("", response_model=FeedbackGiven)
    async def give(body: FeedbackBody, request: Request) -> Response:
        """Say what you think of an answer; it counts from the next question on."""
        number = await service.give_feedback(
            caller_of(request).name, body.answer_id, body.rating, body.correction, body.comment
        )
        return json_reply({"id": number})

    @routes.get("", response_model=FeedbackListReply)
    async def list_(request: Request, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> Response:
        """List your last pieces of feedback."""
        user = caller_of(request).name
        records = await service.with_fleet(lambda fleet: fleet.base.feedback_store.records(user, last=limit))
        about = await service.on_disk(service.dialogue_store.answers_of, [record.id for record in records])
        return json_reply({"feedback": [_row(record, about.get(record.id)) for record in records]})

    @routes.delete("/{number}", status_code=204)
    async def take_back(number: Annotated[int, Path(ge=1, le=MAX_ID)], request: Request) -> Response:
        """Let a piece of your feedback count no longer."""
        await service.take_back(caller_of(request).name, number)
        return Response(status_code=204)

    return routes


def _row(record: FeedbackRecord, answer_id: str | None) -> dict[str, object]:
    given = record.feedback
    return {
        "id": record.id,
        "created": record.created,
        "answer_id": answer_id,
        "question": given.question,
        "answer": given.answer,
        "rating": given.rating,
        "correction": given.correction,
        "comment": given.comment,
        "undone": record.undone is not None,
    }
