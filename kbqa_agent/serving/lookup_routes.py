"""`/api/entities` and `/api/triples`: what the index holds, for completion and for pictures of neighbourhoods."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from kb_index.knowledge_base import KnowledgeBase
from kb_index.types import Entity, Triple
from kbqa_agent.serving.bodies import MAX_ID
from kbqa_agent.serving.connection import json_reply
from kbqa_agent.serving.failures import ServingError
from kbqa_agent.serving.replies import EntitiesReply, TriplesReply
from kbqa_agent.serving.service import Service

__all__ = ["lookup_routes"]

MAX_ENTITIES = 20
"""Of more entities that share a name, so many are shown."""
LOOKED_AT = 100
"""Of so many entities whose names begin with a prefix the ones to show are chosen."""
MAX_NAME_CHARS = 200
Limit = Annotated[int, Query(ge=1, le=100)]
Name = Annotated[str, Query(min_length=1, max_length=MAX_NAME_CHARS)]


def lookup_routes(service: Service) -> APIRouter:
    """Make the routes."""
    routes = APIRouter(prefix="/api", tags=["look-ups"])

    @routes.get("/entities", response_model=EntitiesReply)
    async def entities(prefix: Name, limit: Limit = 20) -> Response:
        """List entities whose names begin so: the shorter ones first, of equally long ones those with more triples."""
        return json_reply({"entities": _entities(await service.with_kb(lambda kb: _completions(kb, prefix, limit)))})

    @routes.get("/triples", response_model=TriplesReply)
    async def triples(
        entity: Annotated[int | None, Query(ge=0, le=MAX_ID)] = None,
        name: Name | None = None,
        limit: Limit = 50,
    ) -> Response:
        """Give the triples of an entity, or of all of a name: as their subject, and as their object."""
        if (entity is None) == (name is None):
            raise ServingError(400, "expected one of entity=ID and name=NAME")
        return json_reply(await service.with_kb(lambda kb: _neighbourhood(kb, entity, name or "", limit)))

    return routes


def _completions(kb: KnowledgeBase, prefix: str, limit: int) -> list[Entity]:
    found = kb.entities_with_prefix(prefix, max(limit, LOOKED_AT))
    n_triples = Counter(triple.subject_id for triple in kb.triples_of([entity.id for entity in found]))
    return sorted(found, key=lambda entity: (len(entity.name), -n_triples[entity.id], entity))[:limit]


def _neighbourhood(kb: KnowledgeBase, number: int | None, name: str, limit: int) -> dict[str, Any]:
    entities = kb.entities([number]) if number is not None else kb.entities_named(name)
    if not entities:
        what = f"entity {number}" if number is not None else f"name {name[:60]!r}"
        raise ServingError(404, f"{what}: is not in the knowledge base; GET /api/entities?prefix= lists names")
    shown = entities[:MAX_ENTITIES]
    triples: list[Triple] = []
    for entity in shown:
        if len(triples) <= limit:
            triples += kb.triples_of([entity.id])
    about = kb.triples_about(shown[0].name, limit + 1)
    return {
        "entities": _entities(shown),
        "triples": _facts(kb, triples[:limit]),
        "about": _facts(kb, about[:limit]),
        "more": max(len(triples), len(about)) > limit or len(entities) > len(shown),
    }


def _entities(found: Sequence[Entity]) -> list[dict[str, Any]]:
    return [{"id": entity.id, "name": entity.name} for entity in found]


def _facts(kb: KnowledgeBase, triples: Sequence[Triple]) -> list[dict[str, Any]]:
    named = {text: bool(kb.entities_named(text)) for text in {t.object for t in triples} if len(text) <= MAX_NAME_CHARS}
    return [
        {
            "id": t.id,
            "subject_id": t.subject_id,
            "subject": t.subject,
            "predicate": t.predicate,
            "object": t.object,
            "object_is_entity": named.get(t.object, False),
        }
        for t in triples
    ]
