"""A Python dict in `alternatives.py`, as the systems of 2016 had it: nothing is saved, each start reads the file."""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

from alternatives_matching import Row, ranked, read, substrings

from kb_index.normalize import aliases_of, normalize_name


class LookUp:
    """Names to subjects, and subjects to their (predicate, object) pairs."""

    def __init__(self, source: Path) -> None:
        facts: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
        for subject, predicate, value in read(source):
            facts[subject].append((sys.intern(predicate), value))
        named: defaultdict[str, list[str]] = defaultdict(list)
        for subject in facts:
            for alias in aliases_of(subject):
                named[alias].append(subject)
        self._facts, self._named = dict(facts), dict(named)

    def retrieve(self, question: str) -> dict[str, list[Row]]:
        """The triples of each name in the question."""
        names = [text for text in substrings(normalize_name(question)) if text in self._named]
        return {name: [(s, p, o) for s in self._named[name] for p, o in self._facts[s]] for name in names}

    def first(self, question: str, n: int) -> list[Row]:
        """The `n` triples that match best."""
        return ranked(normalize_name(question), self.retrieve(question), n)


def build(source: Path, folder: Path) -> None:  # noqa: ARG001 - nothing is saved
    """Fill the dict."""
    LookUp(source)


def open_saved(source: Path, folder: Path) -> LookUp:  # noqa: ARG001 - nothing was saved
    """Fill the dict again."""
    return LookUp(source)
