"""How hard a question is, and how often a system is right about easy and hard ones.

The knowledge base alone tells it, so that it is the same for all systems.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import sqrt
from typing import NamedTuple

from tqdm import tqdm

from eval.ceiling import HomonymLookup
from eval.uncertainty import Interval
from kb_index.normalize import strip_description
from kb_index.types import Triple
from kbqa_agent.qa_data import comparable
from kbqa_agent.types import QAExample

__all__ = ["Bin", "Difficulty", "accuracy_by", "difficulties", "namesakes", "wilson_interval"]

STARTS = (1, 2, 3, 5, 9, 17, 33, 65, 129)
"""Where bins of numbers begin: each about twice as wide as the one before."""


class Difficulty(NamedTuple):
    """What stands in the way of a question.

    `homonyms`: entities of the gold subject's name, itself among them. `candidates`: distinct objects that these
    entities have, from which the answer is to be picked.
    """

    homonyms: int
    candidates: int


class Bin(NamedTuple):
    """The questions whose number lies from `first` to `last` (None: no end), and the share of them that is right."""

    first: int
    last: int | None
    n: int
    accuracy: float
    interval: Interval

    @property
    def label(self) -> str:
        """Name the numbers of the bin: `3–4`, `2`, `129+`."""
        if self.last is None:
            return f"{self.first}+"
        return str(self.first) if self.last == self.first else f"{self.first}–{self.last}"


def namesakes(kb: HomonymLookup, subject: str) -> list[Triple]:
    """Look up the triples of all entities of a name, with or without the description in brackets after it."""
    named = {e.id for name in {subject, strip_description(subject)[0]} for e in kb.entities_named(name)}
    return kb.triples_of(sorted(named))


def difficulties(examples: Sequence[QAExample], kb: HomonymLookup) -> dict[str, Difficulty]:
    """Tell, by id, how hard the questions are that have a gold triple about an entity of the knowledge base."""
    known: dict[str, Difficulty] = {}
    found: dict[str, Difficulty] = {}
    for example in tqdm(examples, desc="difficulty", unit="question", disable=None):
        if example.triple is None:
            continue
        subject = example.triple[0]
        if subject not in known:
            triples = namesakes(kb, subject)
            known[subject] = Difficulty(
                len({t.subject_id for t in triples}), len({comparable(t.object) for t in triples})
            )
        if known[subject].homonyms:
            found[example.id] = known[subject]
    return found


def accuracy_by(numbers: Mapping[str, int], right: Mapping[str, bool]) -> list[Bin]:
    """Put questions into bins by their number, and say which share of each bin is right; empty bins are left out.

    >>> [(b.label, b.n, b.accuracy) for b in accuracy_by({"a": 1, "b": 4, "c": 3}, {"a": True, "b": True, "c": False})]
    [('1', 1, 1.0), ('3–4', 2, 0.5)]
    """
    bins = []
    for first, after in [*pairwise(STARTS), (STARTS[-1], None)]:
        inside = [right[i] for i, n in numbers.items() if i in right and first <= n and (after is None or n < after)]
        if inside:
            n, hits = len(inside), sum(inside)
            bins.append(Bin(first, after and after - 1, n, hits / n, wilson_interval(hits, n)))
    return bins


def wilson_interval(hits: int, n: int) -> Interval:
    """Give the 95 % interval of a share, which stays inside 0 and 1 and is honest about small numbers.

    >>> tuple(round(end, 3) for end in wilson_interval(9, 10))
    (0.596, 0.982)

    Reference: Wilson 1927, Journal of the American Statistical Association 22, 209-212.
    """
    z = 1.959964
    middle = (hits + z * z / 2) / (n + z * z)
    reach = z / (n + z * z) * sqrt(hits * (n - hits) / n + z * z / 4)
    return max(0.0, middle - reach), min(1.0, middle + reach)
