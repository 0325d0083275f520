"""What decides the answers of an evaluation, as one key: the same key, the same answers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from importlib import metadata
from typing import TYPE_CHECKING, Any

from kb_index.manifest import describe_file
from kbqa_agent.types import QAExample

if TYPE_CHECKING:
    from kbqa_agent.agent import KBQAgent

__all__ = ["answers_key"]


def answers_key(agent: KBQAgent, examples: Sequence[QAExample], hidden_by: int | None) -> str | None:
    """The sha256 of the version, the index, the ranker, the generator's weights, the settings and the questions.

    `hidden_by` is the seed by which half of the answers are hidden, None where none is. Names and places do not count
    where the content is known; a model behind a server is known by its name alone. None where people's feedback counts,
    which changes.
    """
    if agent.keeps_feedback:
        return None
    generator: Any = agent.generator
    ranker: Any = agent.ranker
    weights = getattr(generator, "fingerprint", None)
    source = getattr(ranker, "source", None)
    decisive = {
        "kbqa": metadata.version("kbqa"),
        "index": describe_file(agent.kb.path / "manifest.json").sha256,
        "ranker": source.sha256 if source else type(ranker).__name__,
        "generator": (weights() if weights else generator.name) if generator else None,
        "config": asdict(agent.config),
        "expected_share": agent.expected_share,
        "questions": [[e.id, e.question, *e.answers] for e in examples],
        "hidden_by": hidden_by,
    }
    return hashlib.sha256(json.dumps(decisive, ensure_ascii=False, sort_keys=True).encode()).hexdigest()
