"""kbqa in `alternatives.py`: its default index, shipped ranker, no generator."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kbqa_agent import KBQAgent


class LookUp:
    """An open agent."""

    def __init__(self, agent: KBQAgent) -> None:
        self._agent = agent

    def retrieve(self, question: str) -> object:
        """All triples of all entities that the question may name."""
        from kbqa_agent.linking import link
        from kbqa_agent.retrieval import retrieve

        return retrieve(self._agent.kb, link(self._agent.kb, question))

    def first(self, question: str, n: int) -> list[tuple[str, str, str]]:
        """The `n` most probable triples."""
        return [(t.subject, t.predicate, t.object) for t in self._agent.best_triples(question, n)]


def build(source: Path, folder: Path) -> None:
    """Build an index."""
    from kb_index import build_index

    build_index([source], folder / "index", progress=False)


def open_saved(source: Path, folder: Path) -> LookUp:  # noqa: ARG001 - all that is needed is in the folder
    """Open the agent."""
    from kbqa_agent import KBQAgent

    return LookUp(KBQAgent.open(folder / "index", model="none"))
