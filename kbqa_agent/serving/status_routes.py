"""What operators ask: whether the server is well, what it serves, its figures; and a reload of the index."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response

from kbqa_agent.serving.bodies import MAX_QUESTION_CHARS
from kbqa_agent.serving.callers import Keys
from kbqa_agent.serving.connection import caller_of, json_reply
from kbqa_agent.serving.failures import ServingError
from kbqa_agent.serving.server_replies import InfoReply, ReloadReply, StatusReply, SystemsReply
from kbqa_agent.serving.service import Service

__all__ = ["installed_version", "status_routes"]

LANGUAGES = ["zh", "en"]


def status_routes(service: Service, keys: Keys) -> APIRouter:
    """Make the routes."""
    routes = APIRouter(tags=["server"])

    @routes.get("/healthz", response_model=StatusReply)
    async def healthz() -> Response:
        """Tell that the process answers."""
        return json_reply({"status": "ok"})

    @routes.get("/readyz", response_model=StatusReply)
    async def readyz() -> Response:
        """Tell that questions can be asked: ready, or ready and slow while no process ranks beside the server's own."""
        if not service.is_ready:
            raise ServingError.later(503, "the server is stopping; ask another one", 1)
        fleet = service.source.now
        is_slow = fleet.processes is not None and not fleet.n_rankers
        return json_reply({"status": "ready and slow" if is_slow else "ready"})

    @routes.get("/metrics", responses={200: {"content": {"text/plain": {}}}}, response_class=Response)
    async def metrics() -> Response:
        """Give the server's figures to Prometheus."""
        return Response(service.metrics.text(), media_type=CONTENT_TYPE_LATEST)

    @routes.get("/api/info", response_model=InfoReply)
    async def info(request: Request) -> Response:
        """Tell what this server is; needs no key, but tells models to who has one."""
        told = service.source.describe()
        if keys.are_needed and not caller_of(request).name:
            told["systems"] = [system | {"model": None} for system in told["systems"]]
        base = service.source.now.base
        return json_reply(
            {
                "name": "kbqa",
                "version": installed_version(),
                **told,
                "model": told["systems"][0]["model"],
                "key_needed": keys.are_needed,
                "feedback": base.keeps_feedback,
                "languages": LANGUAGES,
                "max_question_chars": min(MAX_QUESTION_CHARS, base.config.max_question_chars),
            }
        )

    @routes.get("/api/systems", response_model=SystemsReply)
    async def systems() -> Response:
        """List the systems that can answer, and be compared; the first is the default."""
        return json_reply({"systems": service.source.describe()["systems"]})

    @routes.post("/api/admin/reload", response_model=ReloadReply)
    async def reload(request: Request) -> Response:
        """Answer from what the index folder holds now; what runs ends on the old state."""
        if not caller_of(request).is_admin:
            raise ServingError(403, "only a key marked admin may do this; the file of keys says so behind the key")
        changed = await service.reload_everywhere()
        return json_reply({"reloaded": changed, "created": service.source.describe()["index"]["created"]})

    return routes


def installed_version() -> str:
    """The version of kbqa that runs."""
    try:
        return version("kbqa")
    except PackageNotFoundError:
        return "unknown"
