"""Aliases of entities, and the mentions of them in a text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb_index.look_ups import entities_listed, matches
from kb_index.names import (
    BY_VALUE,
    AttributeTrie,
    NameTrie,
    build_names,
    entity_aliases,
    naming_predicates,
    open_trie,
    value_aliases,
)
from kb_index.normalize import normalize_name
from kb_index.types import NameMatch


def trie_of(*aliases: tuple[str, int]) -> NameTrie:
    return NameTrie(build_names(aliases))


def mentions(trie: NameTrie, text: str) -> list[NameMatch]:
    return matches(trie.mentions(text))


def with_prefix(trie: NameTrie, prefix: str, limit: int) -> list[int]:
    return entities_listed(trie.listed(prefix, 20 * limit), limit)


def test_naming_attributes_are_known_however_they_are_written():
    written = ["别名", "中 文 名", "外文名：", "Also known as", "简称[1]", "作者", "别名由来", "ALIAS"]
    assert naming_predicates(written) == ["别名", "中 文 名", "外文名：", "Also known as", "简称[1]", "ALIAS"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Air Drying", ("airdrying",)),
        ("甲名、乙名；丙名，丁名", ("甲名、乙名;丙名,丁名", "甲名", "乙名", "丙名", "丁名")),
        ("《坛经》", ("《坛经》", "坛经")),
        ("字" * 40, ("字" * 40,)),
        ("字" * 41, ()),
        (" 、 ", ("、",)),
    ],
)
def test_names_in_the_value_of_a_naming_attribute(value, expected):
    assert value_aliases(value) == expected


def test_an_entity_has_the_aliases_of_its_name_and_of_its_values():
    aliases = entity_aliases([("坛经(佛经)", 0), ("鳞", 1)], [("六祖坛经", 0), ("Squama", 1)])
    assert list(aliases) == [
        ("坛经(佛经)", 0),
        ("坛经", 0),
        ("鳞", 1),
        ("六祖坛经", BY_VALUE),
        ("squama", BY_VALUE + 1),
    ]


def test_entities_that_are_named_so_come_before_those_that_an_attribute_calls_so():
    trie = NameTrie(
        build_names(entity_aliases([("日本", 8), ("日本(歌曲)", 9), ("倭", 2)], [("日本", 2), ("日本", 8)]))
    )
    assert trie.called("日本").ids() == (8, 9, 2)
    assert mentions(trie, "日本的首都") == [NameMatch(0, 2, (8, 9, 2))]
    assert with_prefix(trie, "日", 5) == [2, 8, 9]


def test_ids_of_homonyms_are_ascending():
    ids = [70000, 3, 256, 65536, 5]
    trie = trie_of(*(("基础", i) for i in ids), ("基础课", 1), ("基", 2))
    assert trie.called("基础").ids() == (3, 5, 256, 65536, 70000)
    assert trie.called("础").ids() == ()
    assert trie.called("基础会计").ids() == ()


def test_a_pair_that_comes_twice_is_kept_once():
    assert trie_of(("坛经", 1), ("坛经", 1)).called("坛经").ids() == (1,)


def test_every_mention_is_found_with_offsets_into_the_text_as_written():
    trie = trie_of(("机械设计", 1), ("机械设计基础", 2), ("设计基础", 3), ("nba", 4))
    text = "《机 械设计　基础》与ＮＢＡ"
    assert mentions(trie, text) == [
        NameMatch(1, 6, (1,)),
        NameMatch(1, 9, (2,)),
        NameMatch(4, 9, (3,)),
        NameMatch(11, 14, (4,)),
    ]
    assert text[1:6] == "机 械设计"


def test_a_mention_does_not_end_in_the_blank_after_it():
    assert mentions(trie_of(("武汉", 1)), " 武汉 在哪") == [NameMatch(1, 3, (1,))]


def test_a_single_character_is_a_mention_in_quotation_marks_or_alone():
    trie = trie_of(("鳞", 1))
    assert mentions(trie, "鳞的拼音是什么") == []
    assert mentions(trie, "《鳞》的拼音") == [NameMatch(1, 2, (1,))]
    assert mentions(trie, "“鳞”字") == [NameMatch(1, 2, (1,))]
    assert mentions(trie, "【鳞】字") == [NameMatch(1, 2, (1,))]
    assert mentions(trie, "《鳞”字") == []
    assert mentions(trie, " 鳞 ") == [NameMatch(1, 2, (1,))]


def test_half_of_a_character_is_no_mention():
    trie = trie_of(("fi", 1), ("ix", 2), ("xf", 3), ("xfi", 4))
    assert mentions(trie, "xﬁx") == [NameMatch(0, 2, (4,)), NameMatch(1, 2, (1,))]


@given(st.lists(st.text("基础设计aB 　", min_size=1, max_size=4), max_size=6), st.text("基础设计Ａb ", max_size=12))
def test_mentions_are_exactly_the_aliases_that_occur(names, text):
    aliases = {normalize_name(name) for name in names} - {""}
    normalized = normalize_name(text)
    occurrences = sorted(
        alias
        for alias in aliases
        for i in range(len(normalized))
        if normalized.startswith(alias, i) and (len(alias) > 1 or len(normalized) == 1)
    )
    matches = mentions(trie_of(*((alias, 0) for alias in aliases)), text)
    assert sorted(normalize_name(text[m.start : m.end]) for m in matches) == occurrences
    assert matches == sorted(matches)


def test_entities_by_prefix_come_once_and_up_to_the_limit():
    trie = trie_of(("机械", 1), ("机械设计", 1), ("机械设计", 2), ("机床", 3))
    assert sorted(with_prefix(trie, "机械", 10)) == [1, 2]
    assert len(with_prefix(trie, "机", 2)) == 2
    assert with_prefix(trie, "床", 10) == []


def test_later_tries_add_aliases_and_hide_those_of_replaced_entities():
    first = build_names([("机械", 1), ("机械设计", 2), ("基础", 2), ("坛经", 3)])
    later = build_names([("机械设计", 2), ("机械设计基础", 4)])
    names = NameTrie(first, later, replaced=frozenset({2, 3}))
    assert [names.called(alias).ids() for alias in ("机械", "机械设计", "基础", "坛经", "机械设计基础")] == [
        (1,),
        (2,),
        (),
        (),
        (4,),
    ]
    assert mentions(names, "坛经与机械设计基础") == [
        NameMatch(3, 5, (1,)),
        NameMatch(3, 7, (2,)),
        NameMatch(3, 9, (4,)),
    ]
    assert with_prefix(names, "机", 10) == [1, 2, 4]
    assert with_prefix(names, "坛", 10) == []


def test_a_saved_trie_is_memory_mapped(tmp_path):
    path = tmp_path / "names.marisa"
    path.write_bytes(build_names([("坛经", 5)]).tobytes())
    assert NameTrie(open_trie(path)).called("坛经").ids() == (5,)


def test_attributes_are_counted_by_their_name(tmp_path):
    AttributeTrie.build([("作者", 12), ("别名", 0)]).save(tmp_path / "attributes.marisa")
    attributes = AttributeTrie.open(tmp_path / "attributes.marisa")
    assert [attributes.triples(name) for name in ("作者", "别名", "作")] == [12, 0, None]
