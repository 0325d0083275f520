"""`/v1`: the routes that OpenAI's clients call; a model is a system of this server."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from starlette.responses import Response, StreamingResponse

from kb_index.errors import KBQAError
from kbqa_agent.serving.asked import Asked, Reply
from kbqa_agent.serving.connection import EVENT_STREAM, UNBUFFERED, as_event, caller_of, json_reply, while_wanted
from kbqa_agent.serving.dialogue_store import new_id
from kbqa_agent.serving.failures import UNFORESEEN, ServingError, failure_of
from kbqa_agent.serving.guard import refusal
from kbqa_agent.serving.histories import Histories
from kbqa_agent.serving.openai_forms import ChatBody, Completion, annotations_of, content_of, n_units
from kbqa_agent.serving.replies import reply_to_json
from kbqa_agent.serving.service import Service
from kbqa_agent.streaming import Piece, Shortlist

__all__ = ["openai_routes"]

logger = logging.getLogger(__name__)
PATH = "/v1/chat/completions"


def openai_routes(service: Service) -> APIRouter:
    """Make the routes."""
    routes = APIRouter(prefix="/v1", tags=["OpenAI-compatible"])
    histories = Histories(service)

    @routes.get("/models")
    async def models() -> Response:
        """List the systems that can answer, as models."""
        return json_reply({"object": "list", "data": [_model(service, name) for name in service.source.now.systems]})

    @routes.get("/models/{model:path}")
    async def model(model: Annotated[str, Path(max_length=100)]) -> Response:
        """Tell of one model."""
        return json_reply(_model(service, service.source.now.system(model).name))

    @routes.post("/chat/completions", responses={200: {"content": {EVENT_STREAM: {}}}})
    async def complete(body: ChatBody, request: Request) -> Response:
        """Answer the last message of the user; those before it are what a follow-up is about."""
        if len(body.messages) > service.settings.message_count:
            text = f"{len(body.messages)} messages, at most {service.settings.message_count}; send the last ones"
            raise ServingError(400, text)
        questions = [text for m in body.messages if m.role == "user" and (text := m.text.strip())]
        if not questions:
            raise ServingError(400, "messages: none of a user with a text; expected a question as the last one")
        user, system = caller_of(request).name, service.source.now.system(body.model).name
        ends = service.deadline()
        dialogue = await while_wanted(request, histories.dialogue(user, system, questions[:-1], ends))
        asked = Asked(questions[-1], user, system=system, context=dialogue)
        completion, read = Completion(new_id(), system), sum(n_units(m.text) for m in body.messages)
        base_url = str(request.base_url)
        if not body.stream:
            reply = await while_wanted(request, service.ask(asked, ends))
            histories.remember(user, system, questions, dialogue)
            return json_reply(completion.whole(reply, read, base_url))
        events = service.stream(asked, with_shortlist=False, ends=ends)
        first = await while_wanted(request, anext(events))
        with_usage = bool(body.stream_options and body.stream_options.include_usage)

        async def chunks() -> AsyncIterator[str]:
            async with aclosing(events):
                async for chunk in _chunks(completion, first, events, base_url):
                    if "content" in chunk:
                        histories.remember(user, system, questions, dialogue)
                        if with_usage:
                            yield as_event(None, completion.usage_chunk(read, chunk["content"]))
                    else:
                        yield as_event(None, chunk)
            yield as_event(None, "[DONE]")

        return StreamingResponse(chunks(), headers=UNBUFFERED, media_type=EVENT_STREAM)

    return routes


async def _chunks(
    completion: Completion,
    first: Shortlist | Piece | Reply,
    others: AsyncGenerator[Shortlist | Piece | Reply, None],
    base_url: str,
) -> AsyncIterator[dict[str, Any]]:
    """The chunks of a stream, and at the end {"content": all that was said}; what goes wrong is a last chunk."""
    told = ""
    yield completion.chunk({"role": "assistant", "content": ""})
    try:
        event: Shortlist | Piece | Reply | None = first
        while event is not None:
            if isinstance(event, Piece):
                told += event.text
                yield completion.chunk({"content": event.text})
            elif isinstance(event, Reply):
                content = content_of(event.answer)
                # The generator's words may not be the answer: people's feedback goes before them, and silence.
                goes_on = content.startswith(told)
                rest = content[len(told) :] if goes_on else f"\n{content}"
                told += rest
                cited = annotations_of(event.answer, content, base_url, 0 if goes_on else len(told) - len(content))
                yield completion.chunk({"content": rest, "annotations": cited})
                yield completion.chunk({}, "stop", kbqa=reply_to_json(event))
            event = await anext(others, None)
        yield {"content": told}
    except KBQAError as error:
        failure = failure_of(error)
        yield refusal(PATH, failure.status, str(failure))
    except Exception:
        logger.exception("a chat failed")
        yield refusal(PATH, 500, UNFORESEEN)


def _model(service: Service, name: str) -> dict[str, Any]:
    with service.source.use() as fleet:
        created = datetime.fromisoformat(fleet.base.kb.manifest.created)
    return {"id": name, "object": "model", "created": int(created.timestamp()), "owned_by": "kbqa"}
