"""A text in the other Chinese script: a question in simplified characters names an entity in traditional ones, or back.

OpenCC chooses by phrases among the traditional forms of a character (头发 is 頭髮, 出发 is 出發). Names are looked up
in both scripts when a question is asked, so an index keeps names as its source writes them.
"""

from __future__ import annotations

from functools import cache
from typing import Any

__all__ = ["other_scripts"]


def other_scripts(text: str) -> list[str]:
    """Write a text in simplified and in traditional characters; what equals the text or changes its length is left out.

    >>> other_scripts("红楼梦的作者"), other_scripts("紅樓夢的作者"), other_scripts("Hamlet")
    (['紅樓夢的作者'], ['红楼梦的作者'], [])
    """
    if text.isascii():
        return []
    forms = (_converter(script).convert(text) for script in ("t2s", "s2t"))
    return [form for form in dict.fromkeys(forms) if form != text and len(form) == len(text)]


@cache
def _converter(script: str) -> Any:
    from opencc import OpenCC

    return OpenCC(script)
