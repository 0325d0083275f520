"""Alias -> entity ids, as a memory-mapped trie, and every mention of an alias in a text.

The trie is marisa's record trie: one entry for each pair of a normalised alias and an entity id. This module decides
what counts as an alias of an entity; it neither picks among homonyms nor finds misspelt names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kb_index.normalize import QUOTES, aliases_of, normalize_attribute, normalize_name, normalize_with_offsets
from kb_index.types import NameMatch

if TYPE_CHECKING:
    from marisa_trie import RecordTrie

__all__ = ["MAX_NAME_CHARS", "NameTrie", "build_names", "entity_aliases", "naming_predicates", "value_aliases"]

MAX_NAME_CHARS = 40
"""A value of a naming attribute that is longer than this is prose and no name."""

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

# The record format of the trie: one unsigned 32-bit integer.
_RECORD = ">I"

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
    return tuple(dict.fromkeys(alias for part in (value, *_SEPARATORS.split(value)) for alias in aliases_of(part)))


def entity_aliases(names: Iterable[tuple[int, str]], values: Iterable[tuple[int, str]]) -> Iterator[tuple[str, int]]:
    """Yield (alias, entity id) for (id, name) of entities and for (id, value) of their naming attributes."""
    for entity_id, name in names:
        for alias in aliases_of(name):
            yield alias, entity_id
    for entity_id, value in values:
        for alias in value_aliases(value):
            yield alias, entity_id


def build_names(aliases: Iterable[tuple[str, int]]) -> RecordTrie:
    """Build the trie; a pair that comes twice is kept once."""
    import marisa_trie

    return marisa_trie.RecordTrie(_RECORD, ((alias, (entity_id,)) for alias, entity_id in aliases))


class NameTrie:
    """The aliases of an index, read-only; safe to use from several threads."""

    def __init__(self, trie: RecordTrie) -> None:
        self._trie: Any = trie

    @classmethod
    def open(cls, path: Path) -> NameTrie:
        """Memory-map a saved trie, so that opening takes no time and several processes share the memory."""
        import marisa_trie

        return cls(marisa_trie.RecordTrie(_RECORD).mmap(str(path)))

    def __len__(self) -> int:
        return len(self._trie)

    def __contains__(self, alias: str) -> bool:
        return alias in self._trie

    def ids(self, alias: str) -> tuple[int, ...]:
        """List the entities with this normalised alias, ascending."""
        return tuple(sorted(entity_id for (entity_id,) in self._trie.get(alias, ())))

    def with_prefix(self, prefix: str, limit: int) -> list[int]:
        """List at most `limit` distinct entities with an alias that starts with `prefix` (normalised)."""
        found = (entity_id for _, (entity_id,) in self._trie.iteritems(prefix))
        # An entity comes once for each alias: looking at 20 times as many entries bounds the time and is mostly enough.
        return list(islice(dict.fromkeys(islice(found, 20 * limit)), limit))

    def spelled_as_alias(self, texts: Iterable[str]) -> Mapping[str, str]:
        """Map each text that is an alias of some entity, whatever its width, case and blanks, to the alias."""
        normalized = ((text, normalize_name(text)) for text in texts)
        return {text: alias for text, alias in normalized if alias in self._trie}

    def mentions(self, text: str) -> list[NameMatch]:
        """Find every stretch of a text that is an alias, overlapping ones included, by start and then by end.

        An alias of a single character counts only where it stands in quotation marks or is the whole text: nearly
        every character is some entity's name.
        """
        normalized, offsets = normalize_with_offsets(text)
        prefixes = self._trie.prefixes
        matches = []
        for i in range(len(normalized)):
            for alias in prefixes(normalized[i:]):
                j = i + len(alias)
                if (j > i + 1 or _stands_alone(normalized, i)) and _whole_characters(offsets, i, j):
                    start, end = offsets[i], offsets[j]
                    end = start + len(text[start:end].rstrip())
                    matches.append(NameMatch(start, end, self.ids(alias)))
        return matches


def _stands_alone(normalized: str, i: int) -> bool:
    return len(normalized) == 1 or QUOTES.get(normalized[i - 1 : i]) == normalized[i + 1 : i + 2]


def _whole_characters(offsets: list[int], i: int, j: int) -> bool:
    """Whether normalised [i:j] begins and ends with a character of the text, not amid one such as the ligature ﬁ."""
    return (i == 0 or offsets[i - 1] != offsets[i]) and offsets[j - 1] != offsets[j]
