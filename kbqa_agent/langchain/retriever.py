"""A retriever: the triples that most probably answer a question, as documents."""

from __future__ import annotations

from typing import Any

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import ConfigDict, Field

from kb_index.types import Triple
from kbqa_agent.agent import KBQAgent
from kbqa_agent.langchain.shown import triple_line
from kbqa_agent.types import Candidate

__all__ = ["KBQARetriever"]


class KBQARetriever(BaseRetriever):
    """Documents of one triple each for a question, best first: `KBQARetriever(agent=agent, k=5).invoke("...")`.

    The text is `subject | predicate | object`. The metadata are `id`, `subject`, `predicate`, `object`, `entity_id`
    (the subject's), `answer` (what the triple is evidence for), `score` (that answer's probability) and, where the
    file had them, `extra` (its other columns, for each line that states the triple) and `source` (the first line's).
    An answer of several facts brings all of them. The agent's `max_candidates` limits the number of answers.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    agent: KBQAgent
    k: int = Field(default=10, ge=1)
    """The most documents."""
    min_score: float = Field(default=0.0, ge=0.0, le=1.0)
    """Answers that are less probable bring no documents."""

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,  # noqa: ARG002 - the base class's
    ) -> list[Document]:
        found: dict[int, Document] = {}
        for candidate in self.agent.ask(query).candidates:
            if candidate.score < self.min_score:
                break
            for triple in candidate.evidence:
                found.setdefault(triple.id, _document(triple, candidate))
        return list(found.values())[: self.k]


def _document(triple: Triple, candidate: Candidate) -> Document:
    metadata: dict[str, Any] = {
        "id": triple.id,
        "entity_id": triple.subject_id,
        "subject": triple.subject,
        "predicate": triple.predicate,
        "object": triple.object,
        "answer": candidate.answer,
        "score": candidate.score,
    }
    if triple.extra:
        metadata["extra"] = [dict(columns) for columns in triple.extra]
        if "source" in triple.extra[0]:
            metadata["source"] = triple.extra[0]["source"]
    return Document(id=str(triple.id), page_content=triple_line(triple), metadata=metadata)
