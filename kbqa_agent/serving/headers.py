"""Bounds what a client may send before it has said what it wants, which uvicorn does not with httptools."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

__all__ = ["HEADER_SECONDS", "MAX_HEADER_BYTES", "BoundedHeaders"]

MAX_HEADER_BYTES = 65_536
HEADER_SECONDS = 10.0
"""So long a client may take to send a request's line and headers."""


class BoundedHeaders(HttpToolsProtocol):
    """Closes a connection whose headers are too long, or do not come."""

    _n_bytes = 0
    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._expect_no_more()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Wait for the headers of a request that has begun."""
        super().on_message_begin()
        self._expect_no_more()
        self._expect()

    def on_headers_complete(self) -> None:
        """Leave what comes after them to the guard."""
        self._expect_no_more()
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Take bytes in, up to so many before the headers are complete."""
        super().data_received(data)
        if self._late is not None:
            self._n_bytes += len(data)
            if self._n_bytes > MAX_HEADER_BYTES:
                self._refuse("Headers are too long.")

    def _expect(self) -> None:
        self._n_bytes = 0
        self._late = self.loop.call_later(HEADER_SECONDS, self._refuse, "Headers did not come in time.")

    def _expect_no_more(self) -> None:
        if self._late is not None:
            self._late.cancel()
        self._late = None

    def _refuse(self, text: str) -> None:
        self._expect_no_more()
        if not self.transport.is_closing():
            self.send_400_response(text)
