"""Walks over the graph of triples: from a name, along attributes or against them, to sets of names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from kb_index.knowledge_base import KnowledgeBase
from kb_index.normalize import normalize_name
from kb_index.types import Triple

__all__ = ["Node", "Step", "Walk"]

MAX_NODES = 500
MAX_TRIPLES = 2000


class Step(NamedTuple):
    """Along an attribute (as the triples have it), from subject to object, or against it."""

    attribute: str
    backwards: bool


class Node(NamedTuple):
    """A name on the way; `ids` are the entities it stands for, `path` one way there, `ways` the number of ways."""

    text: str
    ids: tuple[int, ...]
    path: tuple[Triple, ...]
    ways: int


class Walk:
    """The nodes that sequences of steps lead to from one name; each sequence is walked once."""

    def __init__(self, kb: KnowledgeBase, name: str) -> None:
        self.kb = kb
        start = Node(name, tuple(e.id for e in kb.entities_named(name)), (), 1)
        self._nodes: dict[tuple[Step, ...], Mapping[str, Node]] = {(): {normalize_name(name): start}}
        self._triples: dict[tuple[tuple[Step, ...], bool], list[tuple[Node, Triple]]] = {}

    def nodes(self, steps: tuple[Step, ...]) -> Mapping[str, Node]:
        """The nodes at the end of the steps, by normalised name; none where a step leads nowhere."""
        if steps not in self._nodes:
            last = steps[-1]
            came_from = self.nodes(steps[:-2]) if len(steps) > 1 and _returns(steps[-2], last) else {}
            taken = self.triples(steps[:-1], last.backwards)
            fitting = ((n, t) for n, t in taken if t.predicate == last.attribute)
            self._nodes[steps] = _reached(fitting, last.backwards, came_from)
        return self._nodes[steps]

    def triples(self, steps: tuple[Step, ...], backwards: bool) -> list[tuple[Node, Triple]]:
        """The triples that lead on from the end of the steps, each with its node."""
        key = steps, backwards
        if key not in self._triples:
            nodes = list(self.nodes(steps).values())[:MAX_NODES]
            self._triples[key] = list(self._against(nodes) if backwards else self._along(nodes))
        return self._triples[key]

    def _along(self, nodes: Iterable[Node]) -> Iterable[tuple[Node, Triple]]:
        by_id = {i: node for node in nodes for i in (node.ids or self._ids(node.text))}
        return [(by_id[t.subject_id], t) for t in self.kb.triples_of(sorted(by_id))]

    def _against(self, nodes: Iterable[Node]) -> Iterable[tuple[Node, Triple]]:
        return ((node, t) for node in nodes for t in self.kb.triples_about(node.text, MAX_TRIPLES))

    def _ids(self, name: str) -> tuple[int, ...]:
        return tuple(e.id for e in self.kb.entities_named(name))


def _returns(before: Step, step: Step) -> bool:
    """Whether a step takes back the one before: those who share a director with a film are other films."""
    return before.attribute == step.attribute and before.backwards != step.backwards


def _reached(taken: Iterable[tuple[Node, Triple]], backwards: bool, came_from: Mapping[str, Node]) -> dict[str, Node]:
    found: dict[str, Node] = {}
    for node, triple in taken:
        text = triple.subject if backwards else triple.object
        key = normalize_name(text)
        if key in came_from:
            continue
        old = found.get(key)
        ids = (triple.subject_id,) if backwards else ()
        if old is None:
            found[key] = Node(text, ids, (*node.path, triple), node.ways)
        else:
            more = tuple(dict.fromkeys((*old.ids, *ids)))
            found[key] = Node(old.text, more, old.path, old.ways + node.ways)
    return found
