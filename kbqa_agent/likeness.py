"""How likely a text is a name that was misspelt or shortened, judged by its characters alone.

People leave out what goes without saying (独立号航母 for 独立号航空母舰) far more often than they write what is not in
a name, so a character that the name has and the text lacks costs a third of any other error.
"""

from __future__ import annotations

__all__ = ["likeness"]

LEFT_OUT, ADDED, REPLACED = 1, 3, 3


def likeness(text: str, name: str) -> float:
    """Compare a text with a name, both normalised: 1 for equal ones, at most 0 for what shares nothing.

    >>> likeness("独立号航母", "独立号航空母舰"), likeness("慈式塔", "慈氏塔"), likeness("万达", "万达")
    (0.8666666666666667, 0.6666666666666667, 1.0)
    """
    from rapidfuzz.distance import Levenshtein

    errors = Levenshtein.distance(text, name, weights=(LEFT_OUT, ADDED, REPLACED))
    return 1.0 - errors / (REPLACED * len(text))
