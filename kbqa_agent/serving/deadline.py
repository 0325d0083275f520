"""The time by which a request has to be answered, whatever it waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from kbqa_agent.serving.failures import ServingError

__all__ = ["Deadline", "TooLateError"]

T = TypeVar("T")


class TooLateError(ServingError):
    """A request took too long."""


class Deadline:
    """The time by which a request has to be answered."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._at = seconds, asyncio.get_running_loop().time() + seconds

    async def before(self, work: Awaitable[T]) -> T:
        """Await something. Raises: ServingError 504 when it is too late."""
        try:
            async with asyncio.timeout_at(self._at):
                return await work
        except TimeoutError:
            text = f"no answer within {self._seconds:g} seconds; ask again, or something simpler"
            raise TooLateError(504, text, {"Retry-After": "1"}) from None
