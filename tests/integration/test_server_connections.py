"""What a client may do before it has said what it wants: endless headers, slow ones, slow bodies, other protocols."""

from __future__ import annotations

import socket
import time
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

import httpx
import pytest

pytest.importorskip("fastapi", reason="needs the extra [serve]")
pytest.importorskip("httptools")

from kbqa_agent.server import ServeSettings, create_app
from kbqa_agent.serving import headers

LINES = "法国 ||| 首都 ||| 巴黎\n"
START = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"
POST = b"POST /api/ask HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"


@pytest.fixture
def url(agent_of, listening, monkeypatch):
    monkeypatch.setattr(headers, "HEADER_SECONDS", 1.0)
    app = create_app(agent_of(LINES), ServeSettings(request_seconds=1.0))
    with listening(app, http=headers.BoundedHeaders) as address:
        yield address


@contextmanager
def connected(url):
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=60) as opened:
        yield opened


def replies(connection):
    """All that comes until the server closes."""
    got = b""
    while part := connection.recv(65_536):
        got += part
    return got.decode()


def test_headers_without_end_are_cut_off(url):
    with connected(url) as connection:
        connection.sendall(START)
        sent = 0
        with suppress(ConnectionError):
            while sent < 10_000_000:
                sent += connection.send(b"X-More: " + b"a" * 8000 + b"\r\n")
        assert sent < 10_000_000


@pytest.mark.parametrize("sent", [b"", b"GET", START])
def test_headers_that_do_not_come_are_not_waited_for(url, sent):
    with connected(url) as connection:
        connection.sendall(sent)
        assert "Headers did not come in time." in replies(connection)


def test_a_body_that_comes_by_drops_has_the_time_of_one_request(url):
    with connected(url) as connection:
        connection.sendall(POST)
        connection.settimeout(0.3)
        began, got = time.monotonic(), b""
        while not got and time.monotonic() - began < 60:
            connection.sendall(b" ")
            try:
                got = connection.recv(65_536)
            except TimeoutError:
                continue
        assert got.startswith(b"HTTP/1.1 408")


def test_requests_on_one_connection_have_their_time_each(url):
    with connected(url) as connection:
        for _ in range(3):
            connection.sendall(START + b"X-Big: " + b"a" * 30_000 + b"\r\n\r\n")
            assert connection.recv(65_536).startswith(b"HTTP/1.1 200")
            time.sleep(0.5)


def test_another_protocol_is_not_spoken(url):
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "a"}
    with httpx.Client(base_url=url, trust_env=False) as client:
        assert client.get("/api/dialogues", headers=upgrade).status_code == 200
        assert client.get("/healthz").json() == {"status": "ok"}
