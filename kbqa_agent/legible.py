"""Texts from a knowledge base as a terminal can show them in their order."""

from __future__ import annotations

__all__ = ["legible"]

_DIRECTIONS = dict.fromkeys(map(ord, "\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"))
"""The marks of Unicode's bidirectional algorithm (Unicode Standard Annex 9, section 2), themselves not seen."""


def legible(text: str) -> str:
    r"""Leave out the marks that turn the direction of writing, with which a value could pass for another.

    >>> legible("abc\u202edcba\u202c\u200e"), legible("שלום")
    ('abcdcba', 'שלום')
    """
    return text.translate(_DIRECTIONS)
