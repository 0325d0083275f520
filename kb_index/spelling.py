"""Which of the names near to a text is meant, by what its writer would have had to do wrong.

Vectors find the names that share most characters with a text, in whatever order; this module puts them in order. It
neither fetches names nor knows how a language sounds or looks: every wrong character is as likely as any other.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Sequence

__all__ = ["SPELLING_CANDIDATES", "likeness", "rank_by_spelling"]

SPELLING_CANDIDATES = 300
"""As many nearest names are worth ranking: of 6.5 million, 99.7 % of the right ones are among the first 300."""

CHARACTERS_PER_EDIT = 4
"""A text may hold one error for so many characters, and one in any case."""

LEFT_OUT, SWAPPED, WRONG = 1, 2, 3
"""What a character costs that the text lacks, two neighbours that it exchanges, and one that is wrong or too many:
people leave out what goes without saying (独立号航母 for 独立号航空母舰) far oftener than they
write what is in no name."""

MIN_LIKENESS = 0.5
"""A name that is less like a text is ordered by its cosine alone."""


def rank_by_spelling(text: str, candidates: Sequence[tuple[int, str, float]], k: int) -> list[tuple[int, float]]:
    """Pick from (id, name, cosine) the k best as (id, cosine): names that a few errors turn into the text come first.

    `text` and names are normalised. An error is a character that is wrong, missing or too many, or two neighbours
    exchanged (optimal string alignment). Of names with as many errors the ones that hold all characters of the text
    come first: any character may have been left out, but only this very one must have been hit to put it there. Then
    comes the smaller difference in length, then the cosine, then the smaller id. Names with more errors than
    `CHARACTERS_PER_EDIT` allows follow: first those that the text may shorten, by `likeness`, and then the others by
    cosine alone, so that an encoder of meanings still finds what it knows.

    >>> rank_by_spelling("高等学数", [(0, "高等教育学", 0.8), (1, "高等数学", 1.0), (2, "高等学府", 0.9)], 2)
    [(1, 1.0), (2, 0.9)]
    """
    allowed = max(1, len(text) // CHARACTERS_PER_EDIT)
    ranked = (((*_errors(text, name, allowed), -cosine, i), i, cosine) for i, name, cosine in candidates)
    return [(i, cosine) for _, i, cosine in heapq.nsmallest(k, ranked)]


def likeness(text: str, name: str) -> float:
    """Say how likely a text is a name that was misspelt or shortened: 1 for an equal one, 0 or less for a foreign one.

    >>> round(likeness("独立号航母", "独立号航空母舰"), 2), round(likeness("慈式塔", "慈氏塔"), 2)
    (0.87, 0.67)
    """
    from rapidfuzz.distance import OSA, Levenshtein

    if not text:
        return 0.0
    cost = Levenshtein.distance(text, name, weights=(LEFT_OUT, WRONG, WRONG))
    if cost == LEFT_OUT + WRONG and len(text) == len(name) and OSA.distance(text, name) == 1:
        cost = SWAPPED
    return 1.0 - cost / (WRONG * len(text))


def _errors(text: str, name: str, allowed: int) -> tuple[int, float, int]:
    from rapidfuzz.distance import OSA

    edits = int(OSA.distance(text, name, score_cutoff=allowed))
    if edits > allowed:
        return edits, -max(MIN_LIKENESS, likeness(text, name)), 0
    not_in_name = (Counter(text) - Counter(name)).total()
    return edits, not_in_name, abs(len(text) - len(name))
