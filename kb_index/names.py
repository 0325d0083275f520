"""Alias -> entity ids, as a memory-mapped trie, every mention of an alias in a text, and the trie of attributes.

The trie is marisa's record trie: one entry for each pair of a normalised alias and an entity id, which says whether the
entity is named so or only called so in the value of an attribute (别名). This module decides what counts as an alias of
an entity; it neither picks among homonyms nor finds misspelt names.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice, repeat
from pathlib import Path
from struct import Struct
from typing import TYPE_CHECKING, Any

import numpy as np

from kb_index.look_ups import Called, Listed
from kb_index.normalize import QUOTES, aliases_of, normalize_attribute, normalize_with_offsets

if TYPE_CHECKING:
    from marisa_trie import BytesTrie

__all__ = [
    "BY_VALUE",
    "MAX_NAME_CHARS",
    "AttributeTrie",
    "NameTrie",
    "build_names",
    "entity_aliases",
    "listed_names",
    "naming_predicates",
    "open_trie",
    "value_aliases",
]

MAX_NAME_CHARS = 40
"""A value of a naming attribute that is longer than this is prose and no name."""

MAX_MENTION_CHARS = 200
"""A longer alias is not looked for in a text, which keeps the work linear in the text's length."""

# fmt: off
_NAMING_ATTRIBUTES = frozenset(normalize_attribute(name) for name in (
    "别名", "又名", "别称", "亦称", "又称", "俗称", "绰号", "外号", "昵称", "简称", "全称", "全名", "本名",
    "原名", "曾用名", "中文名", "中文名称", "中文名字", "中文全名", "中文别名", "外文名", "外文名称",
    "外文全名", "英文名", "英文名称", "英文全名", "英文别名", "英文简称", "日文名", "日文名称", "法文名",
    "德文名", "原版名称", "名称", "姓名", "名字", "译名", "中文译名", "其他译名", "其它译名", "港台译名",
    "艺名", "笔名", "网名", "官方名称", "name", "alias", "aliases", "nickname", "label", "also known as",
    "official name", "short name", "full name", "birth name", "native name",
))
# fmt: on

# The record format of the tries: one unsigned 32-bit integer.
_RECORD = ">I"

BY_VALUE = 1 << 31
"""Added to an entity's id where the alias is no name of its own but the value of a naming attribute."""

_ID = BY_VALUE - 1

_END = b"\xff"
"""What the trie puts between an alias and the number: "ab" comes after "abc"."""

_SEPARATORS = re.compile(r"[、,，;；/|]")


def naming_predicates(predicates: Iterable[str]) -> list[str]:
    """Pick the predicates, as written, whose values are names of their subject.

    >>> naming_predicates(["别 名", "作者", "Also known as"])
    ['别 名', 'Also known as']
    """
    return [predicate for predicate in predicates if normalize_attribute(predicate) in _NAMING_ATTRIBUTES]


def value_aliases(value: str) -> tuple[str, ...]:
    """List the normalised names in the value of a naming attribute.

    >>> value_aliases("六祖坛经、《坛经》/Platform Sutra")
    ('六祖坛经、《坛经》/platformsutra', '六祖坛经', '《坛经》', '坛经', 'platformsutra')
    """
    if len(value) > MAX_NAME_CHARS:
        return ()
    return tuple(dict.fromkeys(alias for part in (value, *listed_names(value)) for alias in aliases_of(part)))


def listed_names(value: str) -> list[str]:
    """List the names that stand in the value of a naming attribute, as written.

    >>> listed_names("六祖坛经、《坛经》/Platform Sutra"), listed_names("坛经")
    (['六祖坛经', '《坛经》', 'Platform Sutra'], ['坛经'])
    """
    return _SEPARATORS.split(value)


def entity_aliases(names: Iterable[tuple[str, int]], values: Iterable[tuple[str, int]]) -> Iterator[tuple[str, int]]:
    """Yield (alias, number) for the names of entities and for the values of their naming attributes.

    A number is an entity's id, and `BY_VALUE` more where the alias is a value.
    """
    for name, entity_id in names:
        for alias in aliases_of(name):
            yield alias, entity_id
    for value, entity_id in values:
        for alias in value_aliases(value):
            yield alias, entity_id | BY_VALUE


def build_names(aliases: Iterable[tuple[str, int]]) -> BytesTrie:
    """Build the trie of (alias, number); a pair that comes twice is kept once."""
    import marisa_trie

    pack = Struct(_RECORD).pack
    pairs = ((alias, pack(number)) for alias, number in aliases)
    # Its default order, by how common a prefix is, is a little faster, and another one in each shard of an index.
    return marisa_trie.BytesTrie(pairs, order=marisa_trie.LABEL_ORDER)


class NameTrie:
    """The aliases of an index, read-only; safe to use from several threads.

    Later tries add aliases, and `replaced` are the entities of the first one that it does not speak for any more.
    """

    def __init__(self, trie: BytesTrie, later: BytesTrie | None = None, replaced: Collection[int] = ()) -> None:
        self._tries: list[tuple[Any, Collection[int]]] = [(trie, replaced)]
        if later is not None:
            self._tries.append((later, ()))

    def called(self, alias: str) -> Called:
        """Give the entities with this normalised alias."""
        found: list[int] = []
        for trie, replaced in self._tries:
            found += _numbers(trie.get(alias, ()), replaced)
        found.sort()
        n_named = bisect_left(found, BY_VALUE)
        return Called(found[:n_named], [number & _ID for number in found[n_named:]])

    def listed(self, prefix: str, limit: int) -> list[Listed]:
        """List the first `limit` pairs of an alias that begins with `prefix` (normalised) and an entity."""
        found = {
            Listed(b"" if alias == prefix else alias.encode() + _END, number >= BY_VALUE, number & _ID, alias)
            for trie, replaced in self._tries
            for alias, record in (*zip(repeat(prefix), trie.get(prefix, ())), *islice(trie.iteritems(prefix), limit))
            for number in _numbers([record], replaced)
        }
        return sorted(found)[:limit]

    def mentions(self, text: str) -> dict[tuple[int, int], Called]:
        """Map each stretch (start, end) of a text that is an alias, overlapping ones too, to its entities.

        An alias of a single character counts only where it stands in quotation marks or is the whole text: nearly
        every character is some entity's name.
        """
        normalized, offsets = normalize_with_offsets(text)
        found = {}
        for i in range(len(normalized)):
            for alias in self._prefixes(normalized[i : i + MAX_MENTION_CHARS]):
                j = i + len(alias)
                if (j > i + 1 or _stands_alone(normalized, i)) and _whole_characters(offsets, i, j):
                    start, end = offsets[i], offsets[j]
                    called = self.called(alias)
                    if any(called):
                        found[start, start + len(text[start:end].rstrip())] = called
        return found

    def _prefixes(self, text: str) -> Sequence[str]:
        found = [trie.prefixes(text) for trie, _ in self._tries]
        return found[0] if len(found) == 1 else sorted({alias for aliases in found for alias in aliases}, key=len)


def _numbers(records: Iterable[bytes], replaced: Collection[int]) -> list[int]:
    """Read the numbers in some records, all at once: a common name has thousands."""
    numbers: list[int] = np.frombuffer(b"".join(records), dtype=_RECORD).tolist()
    return [n for n in numbers if n & _ID not in replaced] if replaced else numbers


def open_trie(path: Path) -> BytesTrie:
    """Memory-map a saved trie of names, so that opening takes no time and several processes share the memory."""
    import marisa_trie

    return marisa_trie.BytesTrie().mmap(str(path))


class AttributeTrie:
    """The normalised attributes of an index, and the number of triples that have each."""

    def __init__(self, trie: Any) -> None:
        self._trie = trie

    @classmethod
    def build(cls, attributes: Iterable[tuple[str, int]]) -> AttributeTrie:
        """Build the trie from (name, triples)."""
        import marisa_trie

        return cls(marisa_trie.RecordTrie(_RECORD, ((name, (triples,)) for name, triples in attributes)))

    @classmethod
    def open(cls, path: Path) -> AttributeTrie:
        """Memory-map a saved trie."""
        import marisa_trie

        return cls(marisa_trie.RecordTrie(_RECORD).mmap(str(path)))

    def save(self, path: Path) -> None:
        """Write the trie to a file."""
        path.write_bytes(self._trie.tobytes())

    def triples(self, name: str) -> int | None:
        """Count the triples with a normalised attribute; None for an unknown one."""
        found = self._trie.get(name)
        return int(found[0][0]) if found else None


def _stands_alone(normalized: str, i: int) -> bool:
    return len(normalized) == 1 or QUOTES.get(normalized[i - 1 : i]) == normalized[i + 1 : i + 2]


def _whole_characters(offsets: list[int], i: int, j: int) -> bool:
    """Whether normalised [i:j] begins and ends with a character of the text, not amid one such as the ligature ﬁ."""
    return (i == 0 or offsets[i - 1] != offsets[i]) and offsets[j - 1] != offsets[j]
