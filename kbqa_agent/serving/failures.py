"""What goes wrong for a caller, as a status and `{"error": {"type", "message"}}`: one line that says what to do."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from kb_index.errors import (
    FeedbackFileError,
    IndexFolderError,
    InputError,
    KBQAError,
    ModelError,
    StorageError,
)

__all__ = ["UNFORESEEN", "ServingError", "error_body", "failure_of", "type_of_status"]

logger = logging.getLogger(__name__)
MAX_CHARS = 500
UNFORESEEN = "something went wrong here; the server's log says what"
_TYPES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "timeout",
    409: "conflict",
    413: "too_large",
    415: "unsupported_media_type",
    421: "misdirected",
    422: "invalid",
    429: "rate_limited",
    500: "internal",
    503: "overloaded",
    504: "timeout",
}


class ServingError(KBQAError):
    """A request that is refused: with a status, a line, and perhaps headers."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.headers = status, dict(headers or {})

    def __reduce__(self) -> tuple[type[ServingError], tuple[int, str, Mapping[str, str]]]:
        return type(self), (self.status, str(self), self.headers)

    @classmethod
    def later(cls, status: int, message: str, seconds: float) -> ServingError:
        """One that says when to come again."""
        return cls(status, message, {"Retry-After": str(max(1, round(seconds)))})


def failure_of(error: KBQAError) -> ServingError:
    """What an error of the library is to a caller."""
    if isinstance(error, ServingError):
        return error
    if isinstance(error, (FeedbackFileError, StorageError, ModelError)):
        logger.error("%s", error)  # it tells of files and addresses, which are no caller's business
        what = "the generator" if isinstance(error, ModelError) else "a file of the server"
        return ServingError.later(503, f"{what} fails at the moment; try again, or ask who runs this server", 5)
    if isinstance(error, IndexFolderError):
        return ServingError(409, str(error))
    return ServingError(400 if isinstance(error, InputError) else 500, str(error))


def error_body(status: int, message: str) -> dict[str, Any]:
    """The body of a refusal.

    >>> error_body(404, "no such dialogue; GET /api/dialogues lists them")
    {'error': {'type': 'not_found', 'message': 'no such dialogue; GET /api/dialogues lists them'}}
    """
    line = " ".join(message.split())
    return {"error": {"type": type_of_status(status), "message": line[:MAX_CHARS]}}


def type_of_status(status: int) -> str:
    """The word for a status."""
    return _TYPES.get(status, "internal" if status >= 500 else "bad_request")
