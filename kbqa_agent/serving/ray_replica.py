"""One of several servers of an address, as an actor of Ray Serve: the application over an index of its own."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, cast

from starlette.types import ASGIApp
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from kb_index.manifest import read_manifest
from kbqa_agent.recipe import AgentRecipe
from kbqa_agent.serving.comparisons import Comparison
from kbqa_agent.serving.failures import ServingError
from kbqa_agent.serving.open_dialogues import GivenAnswer
from kbqa_agent.serving.opening import open_app
from kbqa_agent.serving.service import Service
from kbqa_agent.serving.settings import ServeSettings

__all__ = ["NAME", "Replica", "raised_by"]

logger = logging.getLogger(__name__)

NAME = "kbqa"
"""Of the application, and of its only deployment."""
ALL_SECONDS = 60.0
"""How long all replicas may take for what one asks them."""


class Replica:
    """The application, and what it says of itself to Ray Serve and to its peers; it ranks in itself, if nobody objects.

    Raises: as `open_app`.
    """

    def __init__(self, recipe: AgentRecipe, settings: ServeSettings, systems: Sequence[str]) -> None:
        # Ray keeps what a process writes to standard error among its own logs.
        logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
        if settings.log_questions:
            logging.getLogger("kbqa_agent.serving").setLevel(logging.INFO)
        if settings.processes is None:
            settings = replace(settings, processes=0)
        self._open = ExitStack()
        app: Any = self._open.enter_context(cast(Any, open_app(recipe, settings, systems, _Peers())))
        self._service: Service = app.state.service
        proxies = list(settings.trusted_proxies)
        self._app: ASGIApp = cast(ASGIApp, ProxyHeadersMiddleware(app, proxies)) if proxies else app
        self._is_new = True
        self._service.source.now.base.kb.preload()
        gc.freeze()  # garbage collections would go through all of it again and again
        self._open.callback(gc.unfreeze)  # what is held at the end is freed in order only if it can be collected

    def __serve_build_asgi_app__(self) -> ASGIApp:
        """The application, as Ray Serve asks for it."""
        return self._app

    def __del__(self) -> None:
        if hasattr(self, "_open"):
            self._open.close()

    async def check_health(self) -> None:
        """Say to Ray Serve that questions can be asked. Raises: ServingError."""
        if not self._service.is_ready:
            raise ServingError(503, "the replica is starting or stopping")
        if self._is_new:  # a reload that came while it opened its index passed it by
            try:
                self._is_new = not await self._has_caught_up()
            except Exception:
                logger.exception("reload failed; the index that was open goes on serving until the next try")

    async def _has_caught_up(self) -> bool:
        kb = self._service.source.now.base.kb
        if await asyncio.to_thread(read_manifest, kb.path) == kb.manifest:
            return True
        await self._service.reload()
        return False  # the folder may have been changed once more

    async def reload(self) -> bool:
        """Do what `Service.reload` does, here alone."""
        return await self._service.reload()

    async def given_answer(self, number: str, user: str) -> GivenAnswer | None:
        """An answer that was given here."""
        try:
            return self._service.given.find(number, user)
        except ServingError:
            return None

    async def comparison(self, number: str, user: str) -> Comparison | None:
        """A comparison that was shown here."""
        return self._service.comparisons.find(number, user)


class _Peers:
    """All replicas of the deployment that this one belongs to."""

    def __init__(self) -> None:
        self._handle: Any = None

    async def reload(self) -> bool:
        """Let all open the index anew, each when it can. Raises: what one of them raises, when all have tried."""
        told = await self._all("reload")
        for failed in filter(None, map(raised_by, told)):
            raise failed
        return any(t is True for t in told)

    async def given_answer(self, number: str, user: str) -> GivenAnswer | None:
        """Ask all for an answer; one that has died had its own."""
        return next((t for t in await self._all("given_answer", number, user) if isinstance(t, GivenAnswer)), None)

    async def comparison(self, number: str, user: str) -> Comparison | None:
        """Ask all for a comparison."""
        return next((t for t in await self._all("comparison", number, user) if isinstance(t, Comparison)), None)

    async def _all(self, method: str, *arguments: Any) -> list[Any]:
        from ray import serve

        if self._handle is None:
            self._handle = await asyncio.to_thread(serve.get_deployment_handle, NAME, NAME)
        from ray.serve.exceptions import DeploymentUnavailableError

        asked = self._handle.broadcast(method, *arguments)
        try:
            return list(await asked.results_async(timeout_s=ALL_SECONDS, return_exceptions=True))
        except (TimeoutError, DeploymentUnavailableError):
            raise ServingError.later(503, "not all servers of this address answer; try again", 5) from None


def raised_by(told: object) -> Exception | None:
    """What a replica raised, as it raised it; None where it told something, or is gone."""
    from ray.exceptions import RayActorError

    if not isinstance(told, Exception) or isinstance(told, RayActorError):
        return None
    cause = getattr(told, "cause", None)
    return cause if isinstance(cause, Exception) else told
