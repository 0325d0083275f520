"""Texts from a knowledge base as a terminal can show them in their order, and probabilities as people read them."""

from __future__ import annotations

from math import floor

__all__ = ["legible", "percent"]

_DIRECTIONS = dict.fromkeys(map(ord, "\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"))
"""The marks of Unicode's bidirectional algorithm (Unicode Standard Annex 9, section 2), themselves not seen."""


def legible(text: str) -> str:
    r"""Leave out the marks that turn the direction of writing, with which a value could pass for another.

    >>> legible("abc\u202edcba\u202c\u200e"), legible("שלום")
    ('abcdcba', 'שלום')
    """
    return text.translate(_DIRECTIONS)


def percent(probability: float) -> str:
    """Round to whole percents, and to tenths where these matter: below 10 % and above 99 % (as static/i18n.js).

    >>> percent(0.331), percent(0.998), percent(0.015), percent(0.9999)
    ('33%', '99.8%', '1.5%', '100%')
    """
    parts = 10 if probability < 0.1 or probability > 0.99 else 1
    return f"{floor(100 * parts * probability + 0.5) / parts:g}%"
