"""Which of several entities of one name a reply picks: 第二个, 后者, 2010年那本, 画家那个, the second one."""

from __future__ import annotations

import re
from collections.abc import Sequence

from kb_index.knowledge_base import KnowledgeBase
from kb_index.normalize import normalize_name, strip_description

__all__ = ["by_description", "by_number"]

_DIGITS = {c: i for i, c in enumerate("一二三四五六七八九", 1)} | {"两": 2}
_ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8}
_NUMBER = re.compile(
    r"""(?:(?:我)?(?:是|要|选|选择|指的?是|问的?是|说的?是)?第?(?P<number>[1-9一二三四五六七八九两])
        (?:个|位|本|部|首|项|条|种|款|家|座|所|号)?(?:吧|的|啊|呀)?
    |(?:the\s+)?(?P<ordinal>first|second|third|fourth|fifth|sixth|seventh|eighth|\#?[1-9])(?:\s+one)?
    |(?P<former>前者|前一个|the\s+former)|(?P<last>后者|最后一?[个位本部首]|the\s+(?:latter|last(?:\s+one)?)))
    [\s。.!！,，]*""",
    re.VERBOSE | re.IGNORECASE,
)
_FILLERS = re.compile(
    r"(?:我|想|要|问|说|指|选|是|的|那|这|就|应该|应当|叫|名|版|吧|啊|呀|哦|个|位|本|部|首|家|座|款|种|[,，。.!！?？\s]"
    r"|\b(?:the|one|i|mean|meant|by|of|from|who|which|is|a|an|that|in)\b)+",
    re.IGNORECASE,
)
ENOUGH = 0.5
"""So much of a reply has to stand in what is known of the entity that it picks."""
DESCRIPTION, FACTS = 1.0, 0.9
"""A word in the description of the name counts more than one among the entity's values."""


def by_number(reply: str, n: int) -> int | None:
    """Which of n listed entities a reply picks by its place, from 0; None if it picks none.

    >>> by_number("第二个", 3), by_number("后者", 2), by_number("那作者呢", 3)
    (1, 1, None)
    """
    m = _NUMBER.fullmatch(reply.strip())
    if m is None or n == 0:
        return None
    if m["last"]:
        return n - 1
    word = (m["number"] or m["ordinal"] or "1").lower().lstrip("#")
    number = _DIGITS.get(word) or _ORDINALS.get(word) or int(word)
    return number - 1 if number <= n else None


def by_description(kb: KnowledgeBase, reply: str, entity_ids: Sequence[int]) -> int | None:
    """Which of the entities a reply picks by what its name or its triples say of it; None if none, or more than one."""
    exact = {e.id for e in kb.entities_named(reply)} & set(entity_ids)
    if len(exact) == 1:
        return exact.pop()
    words = [normalize_name(word) for word in _FILLERS.split(reply) if word]
    n_chars = sum(map(len, words))
    names = {e.id: normalize_name(" ".join(strip_description(e.name))) for e in kb.entities(sorted(entity_ids))}
    if not n_chars or len(names) < 2:
        return None
    values: dict[int, list[str]] = {}
    for triple in kb.triples_of(sorted(names)):
        values.setdefault(triple.subject_id, []).append(normalize_name(triple.object))
    scores = {
        i: max(DESCRIPTION * _share(words, [name], n_chars), FACTS * _share(words, values.get(i, []), n_chars))
        for i, name in names.items()
    }
    best, second, *_ = sorted(scores.values(), reverse=True)
    return next(i for i, score in scores.items() if score == best) if best >= ENOUGH and best > second else None


def _share(words: Sequence[str], texts: Sequence[str], n_chars: int) -> float:
    """The share of the words' characters that stand in one of the texts, in runs of two or more."""
    return sum(max((_covered(word, text) for text in texts), default=0) for word in words) / n_chars


def _covered(word: str, text: str) -> int:
    if word in text:
        return len(word)
    pairs = {i for i in range(len(word) - 1) if word[i : i + 2] in text}
    return len(pairs | {i + 1 for i in pairs})
