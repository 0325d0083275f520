"""The rankers that an agent can be opened with, by name: the trained one, the lexical baseline."""

from __future__ import annotations

from pathlib import Path

from kb_index.knowledge_base import KnowledgeBase
from kbqa_agent.lexical import LexicalRanker
from kbqa_agent.ranking import load_ranker
from kbqa_agent.types import Ranker

__all__ = ["LEXICAL", "open_ranker"]

LEXICAL = "lexical"


def open_ranker(kb: KnowledgeBase, ranker: str | Path | Ranker | None = None) -> Ranker:
    """Open a ranker: a folder of one, `LEXICAL`, one that is open; None: the index's own or, without one, the shipped.

    Raises: as `load_ranker`.
    """
    if ranker == LEXICAL:
        return LexicalRanker()
    if ranker is None or isinstance(ranker, (str, Path)):
        return load_ranker(kb, None if ranker is None else Path(ranker))
    return ranker
