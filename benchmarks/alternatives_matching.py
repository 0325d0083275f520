"""What the dict and the SQLite database of `alternatives.py` share: reading, substrings, and the order of triples.

Names are compared as kbqa compares them. The order was chosen on 2,000 drawn NLPCC training questions, by the gold
triple among the first 20: the triples of the longest name only .665, of names that are in no longer one .910, of all
names by the predicate's share .940, by that and then the name's length .954, by the sum of both shares .959, which is
used. Other weights and the Dice coefficient, six variants, were between .940 and .960.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from kb_index.normalize import normalize_attribute

Row = tuple[str, str, str]


def read(source: Path) -> Iterator[Row]:
    """The triples of a file, in its order."""
    with source.open(encoding="utf-8", newline="\n") as lines:
        for line in lines:
            parts = [part.strip() for part in line.split("|||", 2)]
            if len(parts) == 3 and all(parts):
                yield parts[0], parts[1], parts[2]


def substrings(question: str) -> list[str]:
    """The distinct substrings of at least two characters; of a question of one character, itself."""
    n = len(question)
    return list(dict.fromkeys(question[i:j] for i in range(n) for j in range(i + 2, n + 1))) or [question]


def ranked(question: str, triples: Mapping[str, Iterable[Row]], n: int) -> list[Row]:
    """The first `n` distinct triples by the share of the predicate in the question plus that of the name.

    `triples` are those of each name found in the normalised question; the name is masked when predicates are compared.
    """
    scored: dict[Row, float] = {}
    for name, rows in triples.items():
        rest = set(question.replace(name, ""))
        shares: dict[str, float] = {}
        for row in rows:
            if row[1] not in shares:
                shares[row[1]] = share(set(normalize_attribute(row[1])), rest)
            scored[row] = max(scored.get(row, 0.0), shares[row[1]] + len(name) / len(question))
    return heapq.nlargest(n, scored, key=scored.__getitem__)


def share(part: set[str], whole: Sequence[str] | set[str]) -> float:
    """How much of a set of characters is in another one."""
    return len(part.intersection(whole)) / max(1, len(part))
