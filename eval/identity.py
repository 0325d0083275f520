"""What decides the answers of an evaluation, as one key: the same key, the same answers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from kb_index.manifest import RANKER_FOLDER, describe_file
from kbqa_agent.lexical import LexicalRanker
from kbqa_agent.ranking import DEFAULT_RANKER, RankerSource
from kbqa_agent.types import QAExample

if TYPE_CHECKING:
    from kbqa_agent.agent import KBQAgent

__all__ = ["answers_key", "ranker_name"]


def answers_key(agent: KBQAgent, examples: Sequence[QAExample], hidden_by: int | None) -> str | None:
    """The sha256 of the version, the index, the ranker, the generator's weights, the settings and the questions.

    `hidden_by` is the seed by which half of the answers are hidden, None where none is. Names and places do not count
    where the content is known; a model behind a server is known by its address and name. None where people's feedback
    counts, or shards may be missing, which changes, and for a ranker or generator that does not tell what it is.
    """
    weights: Callable[[], str] | None = getattr(agent.generator, "fingerprint", None)
    ranker = _ranker(agent)
    changes = agent.keeps_feedback or agent.config.partial or agent.kb.missing_shards
    if changes or ranker is None or (agent.generator is not None and weights is None):
        return None
    decisive = {
        "kbqa": metadata.version("kbqa"),
        "index": describe_file(agent.kb.path / "manifest.json").sha256,
        "ranker": ranker,
        "generator": weights() if weights else None,
        "config": asdict(agent.config),
        "expected_share": agent.expected_share,
        "questions": [[e.id, e.question, *e.answers] for e in examples],
        "hidden_by": hidden_by,
    }
    return hashlib.sha256(json.dumps(decisive, ensure_ascii=False, sort_keys=True).encode()).hexdigest()


def _ranker(agent: KBQAgent) -> str | None:
    if isinstance(agent.ranker, LexicalRanker):
        return LexicalRanker.__name__
    source: RankerSource | None = getattr(agent.ranker, "source", None)
    return source.sha256 if source else None


def ranker_name(agent: KBQAgent) -> str | None:
    """Name the ranker for a report: its folder or "lexical"; None where it is the index's own, or the shipped one."""
    if isinstance(agent.ranker, LexicalRanker):
        return "lexical"
    source: RankerSource | None = getattr(agent.ranker, "source", None)
    own = agent.kb.path / RANKER_FOLDER
    by_default = own if own.is_dir() else DEFAULT_RANKER
    if source is None or source.folder == by_default.resolve():
        return None
    here = Path.cwd()
    return str(source.folder.relative_to(here) if source.folder.is_relative_to(here) else source.folder)
