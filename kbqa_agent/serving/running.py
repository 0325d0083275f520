"""Runs an application under uvicorn until SIGTERM or Ctrl-C, which let what runs end; SIGHUP reloads the index."""

from __future__ import annotations

import asyncio
import logging
import resource
import signal
import socket
from collections.abc import Callable
from typing import Literal

import uvicorn
from fastapi import FastAPI

from kb_index.errors import InputError, KBQAError
from kbqa_agent.serving.service import Service
from kbqa_agent.serving.settings import ServeSettings

__all__ = ["listen", "run_server", "url_of"]

logger = logging.getLogger(__name__)
WAITING_CONNECTIONS, MOST_CONNECTIONS = 2048, 8192
MOST_FILES = 65_536


def run_server(app: FastAPI, settings: ServeSettings, tell: Callable[[str], None] = logger.info) -> None:
    """Serve until a signal; `tell` is told the address as soon as requests are taken.

    Raises: InputError when nobody can listen there.
    """
    service: Service = app.state.service
    try:
        listening = listen(settings)
    except InputError:
        service.close()
        raise
    _allow_files()
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,  # it would write what people ask for into the log
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        http=_protocol(),
        ws="none",
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=round(settings.drain_seconds) or 1,
        lifespan="on",
    )
    server = _Server(config, lambda: tell(f"{url_of(listening)} answers; Ctrl-C ends it"))
    # uvicorn repeats the signal when it has ended, so that its caller may end, too: we end in order, with status 0.
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
            runner.run(_serve(server, Reloads(service, tell), listening))
    finally:
        listening.close()
        service.close()
        for number, handler in before.items():
            signal.signal(number, handler)


class _Server(uvicorn.Server):
    """Tells when it has started."""

    def __init__(self, config: uvicorn.Config, tell: Callable[[], None]) -> None:
        super().__init__(config)
        self._tell = tell

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to take requests."""
        await super().startup(sockets)
        self._tell()


async def _serve(server: uvicorn.Server, reloads: Reloads, listening: socket.socket) -> None:
    if hasattr(signal, "SIGHUP"):
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reloads.want)
    await server.serve(sockets=[listening])


class Reloads:
    """Reloads the index when it is wanted; wanted while one runs, once more after it: the folder may be another."""

    def __init__(self, service: Service, tell: Callable[[str], None]) -> None:
        self._service, self._tell = service, tell
        self._is_wanted = False
        self._task: asyncio.Task[None] | None = None

    def want(self) -> None:
        """Begin, or begin again after the one that runs."""
        self._is_wanted = True
        if self._task is None or self._task.done():
            self._task = asyncio.ensure_future(self._reload())

    async def _reload(self) -> None:
        while self._is_wanted:
            self._is_wanted = False
            try:
                await self._service.reload()
                self._tell(f"reloaded; the index is that of {self._service.source.describe()['index']['created']}")
            except KBQAError as error:
                logger.error("reload: %s; the index that was open goes on serving", error)
            except Exception:
                logger.exception("reload failed; the index that was open goes on serving")


def _protocol() -> type[asyncio.Protocol] | Literal["h11"]:
    """The protocol of connections; where httptools is not installed, uvicorn's other one, which bounds bytes itself."""
    try:
        from kbqa_agent.serving.headers import BoundedHeaders
    except ImportError:
        return "h11"
    return BoundedHeaders


def listen(settings: ServeSettings) -> socket.socket:
    """Listen where the settings say. Raises: InputError."""
    host = settings.host.strip("[]")
    try:
        family, *_ = socket.getaddrinfo(host, settings.port, type=socket.SOCK_STREAM)[0]
        return socket.create_server((host, settings.port), family=family, backlog=WAITING_CONNECTIONS)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"host {settings.host!r}, port {settings.port}: cannot listen there ({reason}); take another --port"
        ) from None


def url_of(listening: socket.socket) -> str:
    """How a browser calls who listens there."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _allow_files() -> None:
    """Let the process have as many connections as the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
