"""What people's feedback says of an attribute under a wording, for other questions in similar words.

A wording is a question without its entity's name. Two are as similar as the bigrams they share (Dice's coefficient).
Some are shared by chance, since 的 and 是什么 are everywhere, so similarity is counted from there on.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["AttributeVotes", "Lesson", "WordingIndex"]

CHANCE = 0.3
"""Wordings that have so many bigrams in common, as a share, are not similar; those that have all are so entirely."""


class Lesson(NamedTuple):
    """Under a wording an attribute was right (`sign` 1) or wrong (-1)."""

    wording: str
    attribute: str
    sign: int


class WordingIndex:
    """Wordings by their bigrams, so that those similar to a new one are found among thousands in microseconds.

    >>> index = WordingIndex()
    >>> index.number("_的作者是谁"), index.number("_的译者是谁"), index.number("_的作者是谁")
    (0, 1, 0)
    >>> index.similarity("_的作者是谁").round(2).tolist()
    [1.0, 0.43]
    """

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._sizes = array("i")
        self._with_bigram: dict[str, array[int]] = {}

    def number(self, wording: str) -> int:
        """The number of a wording; one that is new gets the next."""
        if wording not in self._numbers:
            self._numbers[wording] = len(self._numbers)
            bigrams = _bigrams(wording)
            self._sizes.append(len(bigrams))
            for bigram in bigrams:
                self._with_bigram.setdefault(bigram, array("i")).append(self._numbers[wording])
        return self._numbers[wording]

    def similarity(self, wording: str) -> NDArray[np.float64]:
        """How similar each known wording is, from 0 to 1, (n_wordings,)."""
        bigrams = _bigrams(wording)
        found = [_numbers(self._with_bigram[b]) for b in bigrams if b in self._with_bigram]
        if not found:
            return np.zeros(len(self._numbers))
        shared = np.bincount(np.concatenate(found), minlength=len(self._numbers))
        dice = 2 * shared / (_numbers(self._sizes) + len(bigrams))
        similar: NDArray[np.float64] = np.maximum(0.0, (dice - CHANCE) / (1 - CHANCE))
        return similar


class AttributeVotes:
    """Lessons from many people: how many of them, on balance, hold an attribute right under a wording.

    A person counts at most once for an attribute, however many questions they judged: with the mean of their lessons,
    each weighed by how similar its wording is.
    """

    def __init__(self) -> None:
        self._wordings = WordingIndex()
        self._numbers: dict[str, int] = {}
        self._columns = {name: array("i") for name in ("wording", "attribute", "user", "question", "sign")}
        self._rows_of: dict[tuple[str, str], list[int]] = {}

    def put(self, user: str, question: str, lessons: Sequence[Lesson]) -> None:
        """Let these be the lessons of a person from a question, in place of earlier ones."""
        for row in self._rows_of.pop((user, question), ()):
            self._columns["sign"][row] = 0
        for lesson in lessons:
            self._rows_of.setdefault((user, question), []).append(len(self._columns["sign"]))
            values = {
                "wording": self._wordings.number(lesson.wording),
                "attribute": self._number(f"a {lesson.attribute}"),
                "user": self._number(f"u {user}"),
                "question": self._number(f"q {question}"),
                "sign": lesson.sign,
            }
            for name, value in values.items():
                self._columns[name].append(value)

    def count(self, wording: str, attributes: Collection[str], besides: str) -> dict[str, float]:
        """How many people hold each attribute right, less those who hold it wrong, by questions similar to a wording.

        Lessons from the question `besides` do not count. Attributes on which nobody said anything are left out.
        """
        wanted = {n: a for a in attributes if (n := self._numbers.get(f"a {a}")) is not None}
        if not wanted:
            return {}
        columns = {name: _numbers(values) for name, values in self._columns.items()}
        weight = self._wordings.similarity(wording)[columns["wording"]] * np.abs(columns["sign"])
        weight *= columns["question"] != self._numbers.get(f"q {besides}", -1)
        kept = np.flatnonzero((weight > 0) & np.isin(columns["attribute"], list(wanted)))
        if not len(kept):
            return {}
        pairs = np.stack([columns["attribute"][kept], columns["user"][kept]], axis=1)
        person, number = np.unique(pairs, axis=0, return_inverse=True)
        number = number.reshape(-1)
        said = np.bincount(number, weight[kept] * columns["sign"][kept]) / np.maximum(
            1.0, np.bincount(number, weight[kept])
        )
        return {wanted[a]: float(said[person[:, 0] == a].sum()) for a in np.unique(person[:, 0]).tolist()}

    def _number(self, name: str) -> int:
        return self._numbers.setdefault(name, len(self._numbers))


def _bigrams(wording: str) -> set[str]:
    return {wording[i : i + 2] for i in range(len(wording) - 1)}


def _numbers(values: array[int]) -> NDArray[np.int32]:
    """See the values as an array; it must be gone before the next value comes."""
    return np.frombuffer(values, np.int32)
