"""The application: an agent and settings in, an ASGI application out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPBearer
from mcp.server.transport_security import TransportSecuritySettings
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from kb_index.errors import KBQAError
from kb_index.manifest import Manifest
from kbqa_agent.agent import KBQAgent
from kbqa_agent.recipe import AgentRecipe
from kbqa_agent.serving.ask_routes import ask_routes
from kbqa_agent.serving.callers import Keys
from kbqa_agent.serving.compare_routes import compare_routes
from kbqa_agent.serving.dialogue_routes import dialogue_routes
from kbqa_agent.serving.failures import failure_of
from kbqa_agent.serving.feedback_routes import feedback_routes
from kbqa_agent.serving.guard import Guard, refusal
from kbqa_agent.serving.lookup_routes import lookup_routes
from kbqa_agent.serving.mcp_tools import mcp_server
from kbqa_agent.serving.metrics import Metrics
from kbqa_agent.serving.openai_routes import openai_routes
from kbqa_agent.serving.page_routes import add_page
from kbqa_agent.serving.peers import Peers
from kbqa_agent.serving.rank_processes import RankProcesses
from kbqa_agent.serving.replies import ErrorReply
from kbqa_agent.serving.service import Service
from kbqa_agent.serving.settings import ServeSettings
from kbqa_agent.serving.status_routes import installed_version, status_routes
from kbqa_agent.serving.systems import Source, System, systems_of

__all__ = ["create_app"]

REFUSALS = (400, 401, 403, 404, 408, 409, 413, 421, 422, 429, 500, 503, 504)
LEAST_PATIENCE = 10.0
DESCRIPTION = "Answers questions from a knowledge base of triples, with evidence and calibrated confidence."


def create_app(
    agent: KBQAgent,
    settings: ServeSettings | None = None,
    systems: Mapping[str, System] | None = None,
    recipe: AgentRecipe | None = None,
    peers: Peers | None = None,
) -> FastAPI:
    """Make the ASGI application that serves an agent, which stays its owner's to close.

    `systems` can answer and be compared, the first by default; None: the agent as it is, and its ranker alone. `recipe`
    says how the index is opened anew for a reload, and in the processes that rank; without it the agent looks at its
    folder again, and ranks in this process. `peers` are the servers of the same address.
    The service that runs is `app.state.service`.

    Raises: InputError, StorageError.
    """
    settings = settings or ServeSettings()
    keys = Keys.read(settings.api_key_file) if settings.api_key_file else Keys()
    metrics = Metrics()
    n_processes = settings.n_processes

    def start(wanted: AgentRecipe, manifest: Manifest) -> RankProcesses | None:
        if not n_processes:
            return None
        # Where nobody waits any more, neither does the server; a busy machine may take some seconds.
        patience = max(LEAST_PATIENCE, settings.request_seconds)
        return RankProcesses(wanted, manifest, n_processes, settings.gather_seconds, metrics.batch, patience)

    service = Service(Source(agent, systems or systems_of(agent), recipe, start), settings, metrics, peers)
    tools = mcp_server(service, installed_version())
    # Who may call, from which site, and how much, is the guard's to say.
    mcp_routes = tools.streamable_http_app(
        stateless_http=True,
        json_response=True,
        max_request_body_size=settings.body_bytes,
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    ).routes
    for route in mcp_routes:
        if isinstance(route, Route):
            route.methods = {"POST"}  # without sessions a GET would be a stream on which nothing ever comes

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with tools.session_manager.run():
            await asyncio.to_thread(service.source.start_processes)
            service.is_ready = True
            try:
                yield
            finally:
                service.close()

    needed: list[Any] = [Depends(HTTPBearer(auto_error=False))] if keys.are_needed else []
    app = FastAPI(
        title="kbqa",
        version=installed_version(),
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
        responses={status: {"model": ErrorReply} for status in REFUSALS},
    )
    app.state.service = service
    for routes in (ask_routes, dialogue_routes, feedback_routes, lookup_routes, compare_routes, openai_routes):
        app.include_router(routes(service), dependencies=needed)
    app.include_router(status_routes(service, keys))
    add_page(app)
    app.router.routes.extend(mcp_routes)
    _add_refusals(app)
    app.add_middleware(Guard, settings=settings, keys=keys, metrics=metrics)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors_origins),
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["*"],  # OpenAI's and MCP's clients send several of their own
            expose_headers=["Retry-After"],
        )
    return app


def _add_refusals(app: FastAPI) -> None:
    async def refused(request: Request, error: Exception) -> JSONResponse:
        failure = failure_of(error) if isinstance(error, KBQAError) else None
        if failure is not None:
            status, text, headers = failure.status, str(failure), failure.headers
        elif isinstance(error, RequestValidationError):
            status, text, headers = 422, _of_validation(request, error.errors()[0]), {}
        else:
            status, text, headers = _of_http(error)
        return JSONResponse(refusal(request.url.path, status, text), status, headers)

    for kind in (KBQAError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, refused)


def _of_validation(request: Request, first: Mapping[str, Any]) -> str:
    """What is wrong with a request's body or parameters."""
    if first["type"] == "json_invalid":
        return f"the body is no JSON (at character {first['loc'][-1]}); send one object"
    if first["type"] in ("model_attributes_type", "model_type", "bytes_type") and first["loc"] == ("body",):
        kind = request.headers.get("content-type", "").partition(";")[0]
        if kind != "application/json":
            return "the body is not read without its type; send Content-Type: application/json"
    place = ".".join(str(part) for part in first["loc"] if part != "body") or "body"
    return f"{place}: {first['msg']}; GET /openapi.json has what is expected"


_PLAIN = {
    "Not Found": "no such path; GET /openapi.json lists them",
    "Method Not Allowed": "another method; GET /openapi.json lists them",
    "There was an error parsing the body": "the body cannot be read; send JSON in UTF-8",
}
"""What the framework says -> what it means."""


def _of_http(error: Exception) -> tuple[int, str, dict[str, str]]:
    """Status, text and headers of what the framework refuses."""
    if not isinstance(error, HTTPException):
        raise error
    text = _PLAIN.get(str(error.detail), str(error.detail))
    return error.status_code, text, dict(error.headers or {})
