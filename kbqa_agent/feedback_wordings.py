"""What people's feedback says of an attribute under a wording, for other questions in similar words.

A wording is a question without its entity's name. Two are as similar as the bigrams they share (Dice's coefficient).
Some are shared by chance, since 的 and 是什么 are everywhere, so similarity is counted from there on.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
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
        self._users: dict[str, int] = {}
        self._questions: dict[str, int] = {}
        self._rows: dict[str, _Rows] = {}
        self._places: dict[tuple[str, str], list[tuple[str, int]]] = {}

    def put(self, user: str, question: str, lessons: Sequence[Lesson]) -> None:
        """Let these be the lessons of a person from a question, in place of earlier ones."""
        for attribute, place in self._places.pop((user, question), ()):
            self._rows[attribute].sign[place] = 0
        for lesson in lessons:
            rows = self._rows.setdefault(lesson.attribute, _Rows(array("i"), array("i"), array("i"), array("i")))
            self._places.setdefault((user, question), []).append((lesson.attribute, len(rows.sign)))
            rows.wording.append(self._wordings.number(lesson.wording))
            rows.user.append(self._users.setdefault(user, len(self._users)))
            rows.question.append(self._questions.setdefault(question, len(self._questions)))
            rows.sign.append(lesson.sign)

    def count(self, wording: str, attributes: Iterable[str], besides: str) -> dict[str, float]:
        """How many people hold each attribute right, less those who hold it wrong, by questions similar to a wording.

        Lessons from the question `besides` do not count. Attributes on which nobody said anything are left out.
        """
        known = [attribute for attribute in attributes if attribute in self._rows]
        if not known:
            return {}
        similarity, asked = self._wordings.similarity(wording), self._questions.get(besides, -1)
        counted: dict[str, float] = {}
        for attribute in known:
            wordings, users, questions, signs = map(_numbers, self._rows[attribute])
            weight = similarity[wordings] * np.abs(signs) * (questions != asked)
            if weight.any():
                said = np.bincount(users, weight * signs) / np.maximum(1.0, np.bincount(users, weight))
                counted[attribute] = float(said.sum())
        return counted


class _Rows(NamedTuple):
    """The lessons on one attribute: the numbers of wording, user and question, and the sign, 0 if taken back."""

    wording: array[int]
    user: array[int]
    question: array[int]
    sign: array[int]


def _bigrams(wording: str) -> set[str]:
    return {wording[i : i + 2] for i in range(len(wording) - 1)}


def _numbers(values: array[int]) -> NDArray[np.int32]:
    """See the values as an array; it must be gone before the next value comes."""
    return np.frombuffer(values, np.int32)
