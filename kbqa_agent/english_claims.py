"""Yes-or-no questions in English over one fact: did Steven Spielberg direct Jaws, was Jaws released in 1975."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import permutations

from kb_index.knowledge_base import KnowledgeBase
from kb_index.normalize import normalize_name
from kbqa_agent.claims import SURE_NO
from kbqa_agent.english_cues import cues, meanings_of
from kbqa_agent.english_names import names_in
from kbqa_agent.paths import Node, Step, Walk
from kbqa_agent.proposals import told
from kbqa_agent.types import Proposal

__all__ = ["english_claim"]

_ASKS_IF = re.compile(r"(?i)\s*(?:is|are|was|were|did|does|do)\b")


def english_claim(kb: KnowledgeBase, question: str) -> Proposal | None:
    """Say whether two names stand in the relation that a question names, with the triples that say so or otherwise.

    None where it is no such question, or no triple of either name has that attribute.
    """
    if not _ASKS_IF.match(question):
        return None
    otherwise: tuple[Node, ...] = ()
    for nodes, other in _related(kb, question):
        if node := nodes.get(normalize_name(other)):
            return told("yes", node.path)
        otherwise = otherwise or tuple(nodes.values())
    if not otherwise:
        return None
    return told("no", [t for node in otherwise for t in node.path], SURE_NO)


def _related(kb: KnowledgeBase, question: str) -> Iterator[tuple[dict[str, Node], str]]:
    """What each of two names in the question is related to as it says, and the other name."""
    for first, second in permutations(names_in(kb, question), 2):
        if first.start < second.end and second.start < first.end:
            continue
        left, right = sorted((first, second))
        rest = question[: left.start] + question[left.end : right.start] + question[right.end :]
        meanings = {c.meaning for c in cues(rest, "")[0]}
        walk = Walk(kb, question[first.start : first.end])
        for backwards in (False, True):
            attributes = dict.fromkeys(t.predicate for _, t in walk.triples((), backwards))
            for attribute in (a for a in attributes if meanings & meanings_of(a)):
                nodes = dict(walk.nodes((Step(attribute, backwards),)))
                yield nodes, question[second.start : second.end]
