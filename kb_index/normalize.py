"""The one normalisation of names and attributes, used alike when an index is built and when it is asked.

Names keep their order of characters and lose only what people type differently: width, case, white space. This module
neither converts traditional to simplified characters nor corrects spelling.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

__all__ = [
    "LIST_MARKS",
    "PLAIN_NAME",
    "PLAIN_NAME_SQL",
    "QUOTES",
    "aliases_of",
    "normalize_attribute",
    "normalize_name",
    "normalize_with_offsets",
    "plain_name",
    "strip_description",
]

PLAIN_NAME = "[0-9a-z\u3400-\u4dbf\u4e00-\u9fff]+"
"""A pattern, for Python and for SQL, of names that are their own and only normalised alias: most Chinese ones."""

PLAIN_NAME_SQL = f"regexp_full_match({{}}, '{PLAIN_NAME}')"
"""A template of SQL: whether the column that is put in holds such a name."""

LIST_MARKS = "[、，,;；/|]"
"""A pattern, for Python and for SQL, of what stands between the names of an object that lists several."""

_is_plain = re.compile(PLAIN_NAME).fullmatch

_CLOSING = {")": "(", "）": "（"}
QUOTES = {"《": "》", "“": "”", "「": "」", "『": "』", "〈": "〉", "【": "】", "‘": "’", '"': '"'}
"""What opens a quoted name -> what closes it. The straight single quote is an apostrophe too often."""
_FOOTNOTE = re.compile(r"\[(?:注|註|note)?\d+(?:[-,~、]\d+)*\]")
_MARKS = re.compile(r"[·•・‧●*_\-‐–—:;\"'“”‘’]+")


def normalize_name(text: str) -> str:
    """Bring a name or a question into the form in which names are compared: NFKC, case-folded, without white space.

    >>> normalize_name("Ｂｅｅｔｈｏｖｅｎ 第九")
    'beethoven第九'
    >>> normalize_name(normalize_name("Straße")) == normalize_name("STRASSE")
    True
    """
    if _is_plain(text):
        return text
    folded = _fold(text)
    # Case-folding takes some letters apart, and closing a gap can bring together what composes: rare, so checked first.
    while not unicodedata.is_normalized("NFKC", folded):
        composed = "".join(unicodedata.normalize("NFKC", folded).split())
        folded = _fold(composed)
        if unicodedata.normalize("NFKC", folded) == composed:
            return composed
    return folded


def _fold(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


def normalize_with_offsets(text: str) -> tuple[str, list[int]]:
    """Normalise a text and say where each character of the result comes from.

    Returns the same string as `normalize_name(text)` and a list one longer than it: for each character the index in
    `text` of the character (or the first of the combined ones) it was made from, and `len(text)` at the end.

    >>> normalize_with_offsets("《 Ａ b》")
    ('《ab》', [0, 2, 4, 5, 6])
    """
    folded, offsets = _normalize_clusters(text)
    while not unicodedata.is_normalized("NFKC", folded):
        folded, again = _normalize_clusters(folded)
        offsets = [offsets[i] for i in again]
    return folded, offsets


def _normalize_clusters(text: str) -> tuple[str, list[int]]:
    chars: list[str] = []
    offsets: list[int] = []
    start, n = 0, len(text)
    while start < n:
        end = start + 1
        while end < n and _joins_previous(text[end]):
            end += 1
        folded = _normalize_cluster(text[start:end])
        chars.append(folded)
        offsets += [start] * len(folded)
        start = end
    offsets.append(n)
    return "".join(chars), offsets


@lru_cache(maxsize=65536)
def _joins_previous(char: str) -> bool:
    """Whether a character may combine with the one before it (marks, and the vowels and finals of Hangul)."""
    return any(
        unicodedata.category(c)[0] == "M" or "\u1160" <= c <= "\u11ff" for c in unicodedata.normalize("NFKC", char)
    )


_normalize_cluster = lru_cache(maxsize=65536)(normalize_name)


def normalize_attribute(text: str) -> str:
    """Bring an attribute into the form in which attributes are compared: as names, without footnotes and marks.

    An attribute made of nothing but marks stays as its normalised name.

    >>> normalize_attribute("民 族"), normalize_attribute("职 业[1]"), normalize_attribute("Birth_Place：")
    ('民族', '职业', 'birthplace')
    """
    if _is_plain(text):
        return text
    name = normalize_name(text)
    stripped = _MARKS.sub("", _FOOTNOTE.sub("", name))
    return name if stripped in ("", name) else normalize_attribute(stripped)


def strip_description(name: str) -> tuple[str, str]:
    """Split a name into the plain name and the description that follows it in brackets.

    Quotation marks around the plain name are taken off. A name that is all brackets stays whole.

    >>> strip_description("机械设计基础(2010年高等教育出版社出版作者杨可桢)")
    ('机械设计基础', '2010年高等教育出版社出版作者杨可桢')
    >>> strip_description("《坛经》（惠能(六祖)的书）"), strip_description("《坛经》")
    (('坛经', '惠能(六祖)的书'), ('坛经', ''))
    """
    plain, description = _split_brackets(name.strip())
    return _unquote(plain), description


def plain_name(name: str) -> str:
    """Normalise a name without its description: the form in which homonyms are alike.

    >>> plain_name("《坛经》(佛教经典)"), plain_name("Java (语言)")
    ('坛经', 'java')
    """
    return normalize_name(strip_description(name)[0])


def _split_brackets(name: str) -> tuple[str, str]:
    opening = _CLOSING.get(name[-1:])
    depth = 0
    for i in range(len(name) - 1, 0, -1) if opening else ():
        if name[i] in _CLOSING:
            depth += 1
        elif name[i] in _CLOSING.values():
            depth -= 1
        if depth == 0:
            return (name[:i].rstrip(), name[i + 1 : -1].strip()) if name[:i].strip() else (name, "")
    return name, ""


def _unquote(name: str) -> str:
    closing = QUOTES.get(name[:1])
    inner = name[1:-1].strip() if len(name) > 2 and name[-1] == closing else ""
    return inner if closing and inner and closing not in inner else name


def aliases_of(name: str) -> tuple[str, ...]:
    """List the normalised aliases of a name: all of it, without the description, and without quotation marks.

    >>> aliases_of("《坛经》(佛教经典)")
    ('《坛经》(佛教经典)', '《坛经》', '坛经')
    """
    without = _split_brackets(name.strip())[0]
    forms = (name, without, _unquote(without)) if without != name else (name, _unquote(name))
    return tuple(dict.fromkeys(form for form in map(normalize_name, forms) if form))
