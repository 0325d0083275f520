"""What routes share: who calls, work that ends when its caller goes, JSON, and events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Mapping
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse

from kbqa_agent.serving.callers import Caller
from kbqa_agent.serving.failures import ServingError

__all__ = ["EVENT_STREAM", "UNBUFFERED", "as_event", "caller_of", "json_reply", "while_wanted"]

T = TypeVar("T")
EVENT_STREAM = "text/event-stream"
UNBUFFERED = {"X-Accel-Buffering": "no"}
"""Lets a reverse proxy pass each event on at once."""
CLIENT_GONE = 499


def caller_of(request: Request) -> Caller:
    """Who sent a request."""
    caller: Caller = request.state.caller
    return caller


async def while_wanted(request: Request, work: Awaitable[T]) -> T:
    """Await work, and cancel it when the client goes. Raises: what it raises."""
    task: asyncio.Future[T] = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_gone(request))
    either: set[asyncio.Future[Any]] = {task, gone}
    try:
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ServingError(CLIENT_GONE, "the client went away")
        return task.result()
    finally:
        gone.cancel()
        task.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def json_reply(content: Mapping[str, Any], status: int = 200) -> JSONResponse:
    """A reply of plain values."""
    return JSONResponse(dict(content), status)


def as_event(name: str | None, data: Any) -> str:
    r"""Write one server-sent event.

    >>> as_event("piece", {"text": "巴\n"})
    'event: piece\ndata: {"text": "巴\\n"}\n\n'
    """
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    return (f"event: {name}\n" if name else "") + f"data: {text}\n\n"
