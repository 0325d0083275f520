"""The look-ups of `kbqa_agent.lookups` as tools, for a model that plans its way to an answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from langchain_core.tools import BaseTool
from pydantic import BaseModel, Field

from kb_index.knowledge_base import KnowledgeBase
from kb_index.types import Triple
from kbqa_agent.langchain.shown import as_json, shown, triple_fields
from kbqa_agent.langchain.tools import Told, make_tool
from kbqa_agent.lookups import FoundEntity, Page, find_entity, get_triples, list_attributes, reverse_lookup

__all__ = ["Record", "lookup_tools"]

Record = Callable[[Sequence[Triple], bool], None]
"""Is told triples, and whether they were looked up by their object."""


class _Name(BaseModel):
    name: str = Field(description="The name of an entity, as the question has it.", min_length=1, max_length=200)


class _Entity(BaseModel):
    entity_id: int = Field(description="The entity's id, from find_entity or from a triple.")


class _Attribute(_Entity):
    attribute: str | None = Field(default=None, max_length=200, description="One attribute; all if left out.")
    limit: int = Field(default=20, ge=1, le=50, description="The most triples.")


class _Value(BaseModel):
    value: str = Field(description="The object that the triples have.", min_length=1, max_length=200)
    attribute: str | None = Field(default=None, max_length=200, description="One attribute; all if left out.")
    limit: int = Field(default=20, ge=1, le=50, description="The most triples.")


def lookup_tools(kb: KnowledgeBase, record: Record | None = None) -> list[BaseTool]:
    """Make the tools `find_entity`, `list_attributes`, `get_triples` and `reverse_lookup` over an open knowledge base.

    `record` is told all triples that a call shows to the model.
    """
    calls = _Calls(kb, record)
    return [
        make_tool(
            "find_entity",
            "Find the entities with a name, each with its id and a few of its triples. Several may share a name.",
            _Name,
            calls.find_entity,
        ),
        make_tool(
            "list_attributes",
            "List the attributes of an entity, each with its number of triples.",
            _Entity,
            calls.list_attributes,
        ),
        make_tool(
            "get_triples",
            "Get the triples of an entity: all, or those with one attribute.",
            _Attribute,
            calls.get_triples,
        ),
        make_tool(
            "reverse_lookup",
            "Get the triples that have a value as their object, whatever their subject: all, or with one attribute.",
            _Value,
            calls.reverse_lookup,
        ),
    ]


class _Calls:
    """What the tools do: a look-up, and its page as JSON and as an artifact."""

    def __init__(self, kb: KnowledgeBase, record: Record | None) -> None:
        self._kb, self._record = kb, record

    def find_entity(self, name: str) -> Told:
        page = find_entity(self._kb, name)
        self._seen([t for found in page.rows for t in found.triples])
        artifact = {"entities": [found.entity._asdict() for found in page.rows], "more": page.more}
        return as_json({"entities": [_entity_fields(found) for found in page.rows], "more": page.more}), artifact

    def list_attributes(self, entity_id: int) -> Told:
        page = list_attributes(self._kb, entity_id)
        artifact = {"attributes": [row._asdict() for row in page.rows], "more": page.more}
        rows = [{"attribute": shown(row.attribute), "triples": row.triples} for row in page.rows]
        return as_json({"attributes": rows, "more": page.more}), artifact

    def get_triples(self, entity_id: int, attribute: str | None = None, limit: int = 20) -> Told:
        return self._triples(get_triples(self._kb, entity_id, attribute, limit))

    def reverse_lookup(self, value: str, attribute: str | None = None, limit: int = 20) -> Told:
        return self._triples(reverse_lookup(self._kb, value, attribute, limit), by_object=True)

    def _triples(self, page: Page[Triple], by_object: bool = False) -> Told:
        self._seen(page.rows, by_object)
        rows = [t._asdict() | {"extra": [dict(columns) for columns in t.extra]} for t in page.rows]
        told = {"triples": [triple_fields(t) for t in page.rows], "more": page.more}
        return as_json(told), {"triples": rows, "more": page.more}

    def _seen(self, triples: Sequence[Triple], by_object: bool = False) -> None:
        if self._record is not None:
            self._record(triples, by_object)


def _entity_fields(found: FoundEntity) -> dict[str, Any]:
    return {
        "entity_id": found.entity.id,
        "name": shown(found.entity.name),
        "match": "exact" if found.exact else "similar",
        "triples": [triple_fields(t) for t in found.triples],
    }
