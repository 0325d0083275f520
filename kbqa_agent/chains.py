"""Chains of facts for English questions: who acted in the movies directed by the director of Jaws.

The words of the question that name attributes, works and sharing (`english_cues`) are read outward from the entity's
name, and each makes a step in the graph of triples, along an attribute or against it. Readings that leave words
unexplained, take steps that no word names, or end at something else than what is asked for cost a penalty; the cheapest
one that leads somewhere is the answer. So questions of one, two and three facts are one case.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from math import exp

from kb_index.knowledge_base import KnowledgeBase
from kbqa_agent.chain_readings import Reading, readings
from kbqa_agent.english_cues import is_english
from kbqa_agent.english_names import names_in
from kbqa_agent.paths import Node, Walk
from kbqa_agent.types import Candidate, Proposal

__all__ = ["chain"]

SURE, LESS_SURE = 0.98, 0.75
"""The confidence of a reading is SURE * exp(-LESS_SURE * penalty^2): near what is right of MetaQA's dev questions."""

_TWO_QUESTIONS = re.compile(r"(?i)\band (?:who|what|when|where|which|how)\b")


def chain(kb: KnowledgeBase, question: str) -> Proposal | None:
    """Answer an English question by the cheapest chain of at most three facts; None where no reading is cheap enough.

    The values are ordered by how many ways lead to them.
    """
    if _TWO_QUESTIONS.search(question):
        return None
    found: list[tuple[Reading, Walk]] = []
    for name in names_in(kb, question):
        before, after = question[: name.start], question[name.end :]
        if is_english(before + " " + after):
            walk = Walk(kb, question[name.start : name.end])
            found += [(reading, walk) for reading in readings(walk, before, after)]
    if not found:
        return None
    reading, walk = min(found, key=lambda r: (r[0].penalty, len(r[0].steps)))
    start = walk.nodes(())
    nodes = {key: node for key, node in walk.nodes(reading.steps).items() if key not in start}
    return _proposal(nodes.values(), reading.penalty) if nodes else None


def _proposal(nodes: Iterable[Node], penalty: float) -> Proposal:
    ordered = sorted(nodes, key=lambda n: -n.ways)
    score = SURE * exp(-LESS_SURE * penalty**2)
    return Proposal(tuple(Candidate(n.text, score, n.path) for n in ordered), tuple(n.text for n in ordered))
