"""The rankers that an agent can be opened with: the trained one, BERT, the lexical baseline."""

from __future__ import annotations

from pathlib import Path

from kb_index.knowledge_base import KnowledgeBase
from kbqa_agent.bert_ranker import BertRanker, is_bert
from kbqa_agent.lexical import LexicalRanker
from kbqa_agent.ranking import load_ranker
from kbqa_agent.types import Ranker

__all__ = ["LEXICAL", "open_ranker"]

LEXICAL = "lexical"


def open_ranker(kb: KnowledgeBase, ranker: str | Path | Ranker | None = None) -> Ranker:
    """Open a ranker: a folder of one, `LEXICAL`, one that is open; None: the index's own or, without one, the shipped.

    What is in a folder is said by its `ranker.json`.

    Raises: as `load_ranker`, `BertRanker.load`.
    """
    if ranker == LEXICAL:
        return LexicalRanker()
    if isinstance(ranker, (str, Path)):
        return BertRanker.load(Path(ranker)) if is_bert(Path(ranker)) else load_ranker(kb, Path(ranker))
    return load_ranker(kb) if ranker is None else ranker
