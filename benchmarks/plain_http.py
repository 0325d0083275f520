"""A client that costs little beside the server it measures: one connection kept open, requests one after the other."""

from __future__ import annotations

import asyncio
import json
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

__all__ = ["Connection", "Response"]


class Response(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body's plain values."""
        return json.loads(self.body)


class Connection:
    """One connection to a server; opened again after the server closed it."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, path: str, body: Any) -> Response:
        """Send plain values. Raises: OSError, asyncio.IncompleteReadError when the server goes away."""
        return await self._send("POST", path, json.dumps(body, ensure_ascii=False).encode())

    async def get(self, path: str) -> Response:
        """Fetch something. Raises: as `post`."""
        return await self._send("GET", path, b"")

    async def _send(self, method: str, path: str, body: bytes) -> Response:
        reader, writer = self._streams or await asyncio.open_connection(self._host, self._port)
        self._streams = None
        head = f"{method} {path} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\nContent-Length: {len(body)}\r\n"
        writer.write(f"{head}Content-Type: application/json\r\n\r\n".encode() + body)
        raw = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in raw[1:] if line)}
        content = await reader.readexactly(int(headers.get("content-length", "0")))
        if headers.get("connection", "").lower() == "close":
            writer.close()
        else:
            self._streams = reader, writer
        return Response(int(raw[0].split(" ")[1]), headers, content)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._streams:
            self._streams[1].close()
