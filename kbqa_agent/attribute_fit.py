"""Whether an attribute that others have fits a question better than the best triple's: perhaps it is what is asked.

The ranker sees only what the entities have. Where one has no 国际刊号, its 国内刊号 may be the best triple and fit
well; that 国际刊号, an attribute of others, stands in the question says that the answer is not there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from kb_index.normalize import normalize_attribute
from kbqa_agent.patterns import MASK

__all__ = ["ATTRIBUTE_FIT", "attribute_fit"]

ATTRIBUTE_FIT = ("longest_chars", "longest_is_best", "longest_in_best", "best_in_longest", "longest_frequency")
CHARS = (2, 10)
"""The length of attributes that are looked for in a question: one character is many other things."""


def attribute_fit(
    masked: str, attribute: str, frequency: Callable[[Sequence[str]], NDArray[np.int64]]
) -> NDArray[np.float32]:
    """The numbers of `ATTRIBUTE_FIT`, (len(ATTRIBUTE_FIT),), for the best triple's normalised attribute.

    They compare it with the longest attribute of the knowledge base that stands in the masked question; `frequency`
    counts attributes in the knowledge base.
    """
    stretches = [stretch for stretch in _stretches(masked) if normalize_attribute(stretch) == stretch]
    counts = frequency(stretches).tolist() if stretches else []
    known = [(len(stretch), count, stretch) for stretch, count in zip(stretches, counts, strict=True) if count]
    chars, count, longest = max(known, default=(0, 0, ""))
    held = (longest == attribute, longest in attribute, attribute in longest) if longest else (False, False, False)
    return np.array([chars, *held, np.log1p(count)], np.float32)


def _stretches(masked: str) -> list[str]:
    """The distinct stretches of a masked question that may be an attribute's name."""
    shortest, longest = CHARS
    sizes = range(shortest, longest + 1)
    found = (part[i : i + n] for part in masked.split(MASK) for n in sizes for i in range(len(part) - n + 1))
    return list(dict.fromkeys(found))
