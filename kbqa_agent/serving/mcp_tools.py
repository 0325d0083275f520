"""The tools of the Model Context Protocol: ask, find an entity, list attributes, get triples, look up, rate an answer.

What a tool tells a model is bounded, and texts of the knowledge base are escaped: they are data, not instructions.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Annotated, Any, ParamSpec, TypeVar

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import Field, ValidationError

from kb_index.errors import KBQAError
from kbqa_agent.langchain.shown import answer_fields, shown, triple_fields
from kbqa_agent.lookups import find_entity, get_triples, list_attributes, reverse_lookup
from kbqa_agent.prompts import escape
from kbqa_agent.serving.asked import Asked, Reply
from kbqa_agent.serving.bodies import MAX_ID, MAX_QUESTION_CHARS
from kbqa_agent.serving.connection import while_wanted
from kbqa_agent.serving.failures import failure_of
from kbqa_agent.serving.service import Service
from kbqa_agent.types import Rating

__all__ = ["mcp_server"]

P = ParamSpec("P")
T = TypeVar("T")
MAX_ERROR_CHARS = 1000
LEAST_TOLD = 0.005
"""Other answers that are less probable are not told."""
INSTRUCTIONS = (
    "Facts of one knowledge base. ask answers a whole question with the triples that the answer rests on, or "
    "says why there is no answer; the other tools look facts up step by step, entities first."
)
READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
WRITES = ToolAnnotations(read_only_hint=False, destructive_hint=False, open_world_hint=False)

Name = Annotated[str, Field(min_length=1, max_length=200, description="The name of an entity.")]
EntityId = Annotated[int, Field(ge=0, le=MAX_ID, description="The entity's id, from find_entity or from a triple.")]
Attribute = Annotated[str | None, Field(max_length=200, description="One attribute; all if left out.")]
Limit = Annotated[int, Field(ge=1, le=50, description="The most triples.")]
Question = Annotated[
    str, Field(min_length=1, max_length=MAX_QUESTION_CHARS, description="One whole question, with its names.")
]


class _Server(MCPServer[Any]):
    """Tells in one line what is wrong with a tool's arguments."""

    async def call_tool(self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None = None) -> Any:
        try:
            return await super().call_tool(name, arguments, context)
        except ToolError as error:
            if not isinstance(error.__cause__, ValidationError):
                raise
            first = error.__cause__.errors()[0]
            place = ".".join(map(str, first["loc"]))
            text = f"Error executing tool {name}: {place}: {first['msg']}; the tool's schema has what is expected"
            raise ToolError(escape(text, MAX_ERROR_CHARS)) from error


def mcp_server(service: Service, version: str = "") -> MCPServer[Any]:
    """Make the server of the tools; over HTTP the caller is who the guard let in, else the local user."""
    with _logging_untouched():
        server = _Server("kbqa", instructions=INSTRUCTIONS, version=version)
    if not service.settings.log_questions:
        logging.getLogger("mcp").setLevel(logging.WARNING)  # it writes what tools are called with
    _add_asking(server, service)
    _add_lookups(server, service)
    return server


def _add_asking(server: MCPServer[Any], service: Service) -> None:
    @server.tool(annotations=READS)
    @_telling_errors
    async def ask(question: Question, ctx: Context[Any, Any]) -> dict[str, Any]:
        """Answer a question: the answer with its evidence and its probability, or the reason why there is none."""
        work, request = service.ask(Asked(question, _user(ctx))), ctx.request_context.request
        return _told(await (while_wanted(request, work) if request is not None else work))

    @server.tool(annotations=WRITES)
    @_telling_errors
    async def give_feedback(
        answer_id: Annotated[str, Field(min_length=1, max_length=64, description="Of an answer that ask gave.")],
        rating: Rating,
        ctx: Context[Any, Any],
        correction: Annotated[str | None, Field(max_length=1000, description="With the rating bad.")] = None,
        comment: Annotated[str | None, Field(max_length=2000)] = None,
    ) -> dict[str, Any]:
        """Say what the user thinks of an answer; it counts from the next question on."""
        return {"id": await service.give_feedback(_user(ctx), answer_id, rating, correction, comment)}


def _add_lookups(server: MCPServer[Any], service: Service) -> None:
    @server.tool(name="find_entity", annotations=READS)
    @_telling_errors
    async def find(name: Name) -> dict[str, Any]:
        """Find the entities with a name, or one like it, each with its id and a few of its triples."""
        page = await service.with_kb(lambda kb: find_entity(kb, name))
        return {
            "entities": [
                {
                    "entity_id": found.entity.id,
                    "name": shown(found.entity.name),
                    "match": "exact" if found.exact else "similar",
                    "triples": [triple_fields(t) for t in found.triples],
                }
                for found in page.rows
            ],
            "more": page.more,
        }

    @server.tool(name="list_attributes", annotations=READS)
    @_telling_errors
    async def attributes(entity_id: EntityId) -> dict[str, Any]:
        """List the attributes of an entity, each with its number of triples."""
        page = await service.with_kb(lambda kb: list_attributes(kb, entity_id))
        return {
            "attributes": [{"attribute": shown(row.attribute), "triples": row.triples} for row in page.rows],
            "more": page.more,
        }

    @server.tool(name="get_triples", annotations=READS)
    @_telling_errors
    async def triples(entity_id: EntityId, attribute: Attribute = None, limit: Limit = 20) -> dict[str, Any]:
        """Get the triples of an entity: all, or those with one attribute."""
        page = await service.with_kb(lambda kb: get_triples(kb, entity_id, attribute, limit))
        return {"triples": [triple_fields(t) for t in page.rows], "more": page.more}

    @server.tool(name="reverse_lookup", annotations=READS)
    @_telling_errors
    async def reverse(value: Name, attribute: Attribute = None, limit: Limit = 20) -> dict[str, Any]:
        """Get the triples that have a value as their object: all, or those with one attribute."""
        page = await service.with_kb(lambda kb: reverse_lookup(kb, value, attribute, limit))
        return {"triples": [triple_fields(t) for t in page.rows], "more": page.more}


def _user(ctx: Context[Any, Any]) -> str:
    request = ctx.request_context.request
    return str(request.state.caller.name) if request is not None else "local"


def _told(reply: Reply) -> dict[str, Any]:
    """What a model is told of an answer, with what it can be rated by."""
    sentence = escape(reply.answer.explain().sentence, MAX_ERROR_CHARS)
    told = answer_fields(reply.answer, LEAST_TOLD) | {"answer_id": reply.answer_id, "sentence": sentence}
    return told | {"generator": "timed out"} if reply.timed_out else told


def _telling_errors(call: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    """Tell a model what a user can mend."""

    @wraps(call)
    async def called(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await call(*args, **kwargs)
        except KBQAError as error:
            raise ToolError(escape(str(failure_of(error)), MAX_ERROR_CHARS)) from error

    return called


@contextmanager
def _logging_untouched() -> Iterator[None]:
    """Let nothing change how the program logs, as the SDK's server does when it is made."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
