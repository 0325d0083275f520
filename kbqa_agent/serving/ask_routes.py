"""`/api/ask` and `/api/chat`: a question in, the answer out, at once or event by event."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from kb_index.errors import KBQAError
from kbqa_agent.answer_forms import candidate_to_json, mention_to_json
from kbqa_agent.serving.asked import Asked, Reply
from kbqa_agent.serving.bodies import QuestionBody
from kbqa_agent.serving.connection import EVENT_STREAM, UNBUFFERED, as_event, caller_of, json_reply, while_wanted
from kbqa_agent.serving.failures import UNFORESEEN, error_body, failure_of
from kbqa_agent.serving.replies import AnswerReply, reply_to_json
from kbqa_agent.serving.service import Service
from kbqa_agent.streaming import Piece, Shortlist

__all__ = ["ask_routes"]

logger = logging.getLogger(__name__)
EVENTS = """
Events: `shortlist` {mentions, candidates}, what the ranker finds; `piece` {text}, as the generator writes; `answer`,
as `/api/ask` replies; `error` {type, message}, instead of an answer.
"""


def ask_routes(service: Service) -> APIRouter:
    """Make the routes."""
    routes = APIRouter(prefix="/api", tags=["questions"])

    @routes.post("/ask", response_model=AnswerReply)
    async def ask(body: QuestionBody, request: Request) -> Response:
        """Answer a question, with the triples that the answer rests on."""
        asked = _asked(body, request)
        return json_reply(reply_to_json(await while_wanted(request, service.ask(asked))))

    @routes.post("/chat", response_class=StreamingResponse, responses={200: {"content": {EVENT_STREAM: {}}}})
    async def chat(body: QuestionBody, request: Request) -> Response:
        """Answer a question, and tell what is known earlier."""
        events = service.stream(_asked(body, request))
        first = await while_wanted(request, anext(events))  # what is wrong from the start has a status of its own
        return StreamingResponse(_events(first, events), headers=UNBUFFERED, media_type=EVENT_STREAM)

    chat.__doc__ = f"{chat.__doc__}\n{EVENTS}"
    return routes


def _asked(body: QuestionBody, request: Request) -> Asked:
    return Asked(body.question, caller_of(request).name, body.dialogue, body.system)


async def _events(
    first: Shortlist | Piece | Reply, others: AsyncGenerator[Shortlist | Piece | Reply, None]
) -> AsyncIterator[str]:
    async with aclosing(others) as events:
        yield _event(first)
        try:
            async for event in events:
                yield _event(event)
        except KBQAError as error:
            failure = failure_of(error)
            yield as_event("error", error_body(failure.status, str(failure))["error"])
        except Exception:
            logger.exception("a chat failed")
            yield as_event("error", error_body(500, UNFORESEEN)["error"])


def _event(event: Shortlist | Piece | Reply) -> str:
    if isinstance(event, Piece):
        return as_event("piece", {"text": event.text})
    if isinstance(event, Reply):
        return as_event("answer", reply_to_json(event))
    meant = {t.subject_id for t in event.candidates[0].evidence} if event.candidates else set()
    return as_event(
        "shortlist",
        {
            "mentions": [mention_to_json(mention, meant) for mention in event.mentions],
            "candidates": [candidate_to_json(candidate) for candidate in event.candidates],
        },
    )
