"""The rankers that an agent can be opened with: the trained one, BERT, the lexical baseline."""

from __future__ import annotations

from pathlib import Path

from kb_index.knowledge_base import KnowledgeBase
from kb_index.manifest import RANKER_FOLDER
from kbqa_agent.bert_ranker import BertRanker, check_bert, is_bert
from kbqa_agent.lexical import LexicalRanker
from kbqa_agent.ranking import DEFAULT_RANKER, check_ranker, load_ranker
from kbqa_agent.types import Ranker

__all__ = ["LEXICAL", "check_ranker_folder", "open_ranker"]

LEXICAL = "lexical"


def open_ranker(kb: KnowledgeBase, ranker: str | Path | Ranker | None = None) -> Ranker:
    """Open a ranker: a folder of one, `LEXICAL`, one that is open; None: the index's own or, without one, the shipped.

    What is in a folder is said by its `ranker.json`.

    Raises: as `load_ranker`, `BertRanker.load`.
    """
    if ranker == LEXICAL:
        return LexicalRanker()
    if not (ranker is None or isinstance(ranker, (str, Path))):
        return ranker
    own = kb.path / RANKER_FOLDER
    folder = Path(ranker) if ranker is not None else own if own.is_dir() else DEFAULT_RANKER
    return BertRanker.load(folder) if is_bert(folder) else load_ranker(kb, folder)


def check_ranker_folder(folder: Path) -> None:
    """Make sure that the files of a ranker, of either kind, are as they were written. Raises: ModelError."""
    check_bert(folder) if is_bert(folder) else check_ranker(folder)
