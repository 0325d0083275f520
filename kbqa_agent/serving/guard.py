"""What stands before every request: who calls and how often, how much is sent, and what every reply says to browsers.

It is plain ASGI, so that it sees replies of every kind, the refusals of the routes among them, and costs little.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Mapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kbqa_agent.serving.buckets import Buckets, whose
from kbqa_agent.serving.callers import Caller, Keys
from kbqa_agent.serving.failures import UNFORESEEN, ServingError, error_body
from kbqa_agent.serving.metrics import Metrics
from kbqa_agent.serving.settings import ServeSettings, is_loopback

__all__ = ["OPEN_PATHS", "Guard", "refusal"]

logger = logging.getLogger(__name__)

OPEN_PATHS = frozenset({"/", "/favicon.ico", "/healthz", "/readyz", "/openapi.json", "/api/info"})
"""What needs no key, beside the files of the page."""
HEALTH = frozenset({"/healthz", "/readyz"})
"""What those who watch a server ask by whatever name, and no page gains by."""
STATIC = "/static/"
UNROUTED = OPEN_PATHS | {"/mcp"}
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
FORWARDED = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class Guard:
    """Lets a request through to the routes with `request.state.caller`, or refuses it with one line."""

    def __init__(self, app: ASGIApp, settings: ServeSettings, keys: Keys, metrics: Metrics) -> None:
        self._app, self._settings, self._keys, self._metrics = app, settings, keys, metrics
        self._buckets = Buckets(settings.requests_per_second, settings.burst)
        self._strangers = Buckets(1.0, 20)
        """Requests with a wrong key, or none, by address. It spares the server: a key is too long to be guessed."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        reply = _Reply(scope, send)
        began = time.perf_counter()
        try:
            scope.setdefault("state", {})["caller"] = self._admit(scope)
            await self._app(scope, _Body(scope, receive, self._settings).receive, reply.send)
        except ServingError as error:
            await reply.refuse(error.status, str(error), error.headers)
        except HTTPException as error:  # of what is mounted beside the routes
            await reply.refuse(error.status_code, str(error.detail), error.headers)
        except Exception:
            logger.exception("%s %s failed", scope["method"], _route(scope))
            await reply.refuse(500, UNFORESEEN)
        finally:
            seconds = time.perf_counter() - began
            route = _route(scope)
            self._metrics.request(route, _method(scope), reply.status, seconds)
            caller = scope.get("state", {}).get("caller")
            who = caller.name if caller else "-"
            logger.info("%s %s %s %d %.0f ms", who, scope["method"], route, reply.status, 1000 * seconds)

    def _admit(self, scope: Scope) -> Caller:
        """Who calls. Raises: ServingError."""
        headers = Headers(scope=scope)
        self._check_site(scope, headers)
        address = whose(scope["client"][0]) if scope.get("client") else None
        path = scope["path"]
        if path in OPEN_PATHS or path.startswith(STATIC):
            return self._caller(headers) or Caller("")
        caller = self._caller(headers) if self._keys.are_needed else self._without_key(headers, address)
        if caller is None:
            if wait := self._strangers.wait(address or ""):
                raise ServingError.later(429, "too many requests without a right key; wait, and send the key", wait)
            fault = "that key is not known" if "authorization" in headers else "a key is needed"
            raise ServingError(401, f"{fault}; send one as Authorization: Bearer KEY", {"WWW-Authenticate": "Bearer"})
        if wait := self._buckets.wait(caller.name):
            raise ServingError.later(429, f"{caller.name}: more requests than allowed; wait {wait:.1f} s", wait)
        return caller

    def _caller(self, headers: Headers) -> Caller | None:
        scheme, _, key = headers.get("authorization", "").partition(" ")
        return self._keys.caller(key.strip()) if scheme.lower() == "bearer" else None

    def _without_key(self, headers: Headers, address: str | None) -> Caller:
        """Who calls where nobody needs a key; what a proxy passes on does not come from this machine."""
        if is_loopback(address or "") and not any(name in headers for name in FORWARDED):
            return Caller("local", is_admin=self._settings.is_local)
        return Caller(f"address {address}")

    def _check_site(self, scope: Scope, headers: Headers) -> None:
        """Refuse what a page of another site lets its reader's browser send."""
        host = headers.get("host", "").casefold()
        allowed = self._settings.hosts
        if allowed and _name(host) not in allowed and scope["path"] not in HEALTH:
            raise ServingError(421, f"host {host[:60]!r}: is not this server's name; --allow-host adds one")
        origin = headers.get("origin")
        if origin is None or scope["method"] in SAFE_METHODS or origin in self._settings.cors_origins:
            return
        if origin.partition("://")[2].casefold() != host:
            raise ServingError(
                403, f"origin {origin[:60]!r}: pages of other sites may not call; --cors-origin adds one"
            )


class _Body:
    """Receives a request's body, up to so many bytes, in so much time."""

    def __init__(self, scope: Scope, receive: Receive, settings: ServeSettings) -> None:
        self._receive, self._settings, self._n_bytes, self._is_whole = receive, settings, 0, False
        self._ends = asyncio.get_running_loop().time() + settings.request_seconds
        length = Headers(scope=scope).get("content-length", "")
        if length.isdecimal() and int(length) > settings.body_bytes:
            raise self._too_large()

    async def receive(self) -> Message:
        """Give the next part. Raises: HTTPException 413, 408."""
        if self._is_whole:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._ends):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(408, "the body did not come in time; send it at once") from None
        self._n_bytes += len(message.get("body", b""))
        if self._n_bytes > self._settings.body_bytes:
            raise HTTPException(413, str(self._too_large()))
        self._is_whole = not message.get("more_body", False)
        return message

    def _too_large(self) -> ServingError:
        return ServingError(413, f"the body has more than {self._settings.body_bytes:,} bytes; send less")


class _Reply:
    """Sends a reply with the headers that all have, and remembers its status."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope, self._send, self.status, self._has_begun = scope, send, 500, False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status, self._has_begun = message["status"], True
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("Cache-Control", "no-store")
        await self._send(message)

    async def refuse(self, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
        if self._has_begun:  # the client sees that the reply breaks off
            raise ConnectionAbortedError(text)
        body = json.dumps(refusal(self._scope["path"], status, text), ensure_ascii=False).encode()
        sent = {"content-type": "application/json", "content-length": str(len(body)), **(headers or {})}
        raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in sent.items()]
        await self.send({"type": "http.response.start", "status": status, "headers": raw})
        await self.send({"type": "http.response.body", "body": b"" if self._scope["method"] == "HEAD" else body})


def refusal(path: str, status: int, text: str) -> dict[str, Any]:
    """The body of a refusal, in OpenAI's form under its routes."""
    body = error_body(status, text)
    if path.startswith("/v1/"):
        kind = "invalid_request_error" if status < 500 else "server_error"
        return {"error": {**body["error"], "type": kind, "param": None, "code": body["error"]["type"]}}
    return body


def _name(host: str) -> str:
    """The name in a Host header, without the port."""
    return host.rpartition(":")[0] if ":" in host.rpartition("]")[2] else host


def _route(scope: Scope) -> str:
    """The path with its parameters unfilled; whatever is no route is one."""
    if scope["path"] in UNROUTED:
        return str(scope["path"])
    route = scope.get("route")
    return str(getattr(route, "path", "")) or ("/static" if scope["path"].startswith(STATIC) else "other")


def _method(scope: Scope) -> str:
    known = ("GET", "HEAD", "POST", "DELETE", "PUT", "PATCH", "OPTIONS")
    return scope["method"] if scope["method"] in known else "other"
