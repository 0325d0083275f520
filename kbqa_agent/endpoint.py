"""JSON requests to a server that speaks OpenAI's protocol: one try after the other, and one line for what fails.

The key goes into a header that redirects do not carry on, and into no message.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

from kb_index.errors import ModelError

__all__ = ["BUSY", "Endpoint", "RefusedError"]

TIMEOUT = 120.0
"""Seconds without a byte from the server."""

PAUSES = (1.0, 4.0, 10.0)
"""Seconds before each new try, where the server is busy."""

BUSY = (429, 500, 502, 503, 504)
"""The statuses that say that the server may answer later."""


class RefusedError(ModelError):
    """The server understood and said no; `status` is HTTP's."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server by its base URL, such as http://localhost:8000/v1, and the key it wants, if any.

    Raises: ModelError when the URL is none, or holds a password, or the key cannot be sent.
    """

    url: str
    key: str | None = field(default=None, repr=False)
    seconds: float | None = None
    """How long to wait for a byte, once: for who has no more time; None: `TIMEOUT`, and again after `PAUSES`."""

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.username or parts.password:
            raise ModelError("the endpoint's URL holds a user or password; put the key into KBQA_API_KEY instead")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ModelError(f"endpoint {self.url!r}: expected a URL such as http://localhost:8000/v1")
        if self.key is not None and not (self.key.isascii() and self.key.isprintable()):
            raise ModelError("KBQA_API_KEY holds characters that no key has; set it anew")

    def post(self, route: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Send a JSON object and give the object that comes back.

        Raises:
            RefusedError: the server answered with an error.
            ModelError: the server cannot be reached, or its answer is no JSON object.
        """
        for pause in PAUSES if self.seconds is None else ():
            try:
                return self._post_once(route, body)
            except RefusedError as refusal:
                if refusal.status not in BUSY:
                    raise
            time.sleep(pause)
        return self._post_once(route, body)

    def _post_once(self, route: str, body: Mapping[str, Any]) -> dict[str, Any]:
        request = urllib.request.Request(  # noqa: S310 - the scheme was checked
            f"{self.url.rstrip('/')}/{route}",
            json.dumps(body, ensure_ascii=False).encode(),
            {"Content-Type": "application/json"},
        )
        if self.key:
            request.add_unredirected_header("Authorization", f"Bearer {self.key}")
        try:
            with urllib.request.urlopen(request, timeout=self.seconds or TIMEOUT) as response:  # noqa: S310
                reply = json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                said = self._shown(error.read(2000).decode("utf-8", "replace"))
            hint = "; set KBQA_API_KEY to its key" if error.code in (401, 403) else ""
            raise RefusedError(f"{self.url}/{route}: refused with {error.code} ({said}){hint}", error.code) from None
        except ValueError as error:
            raise ModelError(f"{self.url}/{route}: answered with no JSON; expected OpenAI's protocol") from error
        except (OSError, HTTPException) as error:
            raise ModelError(
                f"{self.url}: cannot be reached ({getattr(error, 'reason', error)}); is it running?"
            ) from error
        if not isinstance(reply, dict):
            raise ModelError(f"{self.url}/{route}: answered with a {type(reply).__name__}; expected a JSON object")
        return reply

    def _shown(self, text: str) -> str:
        """What a server said, in one line and without the key, which some repeat."""
        line = " ".join(text.replace(self.key, "***").split() if self.key else text.split())
        return line[:200]
