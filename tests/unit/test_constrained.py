"""The trie over candidates: every way through it spells one, and every candidate has a way."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kbqa_agent.constrained import CandidateTrie

END = 0
ROWS = st.lists(st.lists(st.integers(1, 4), max_size=5), min_size=1, max_size=8)


@given(rows=ROWS, choices=st.lists(st.integers(0, 99), min_size=8, max_size=8))
def test_every_way_spells_a_candidate(rows, choices):
    trie = CandidateTrie([[*row, END] for row in rows], END)
    written: list[int] = []
    for choice in choices:
        allowed = trie.allowed(written)
        assert len(allowed) == len(set(allowed))
        written.append(allowed[choice % len(allowed)])
    number = trie.which(written)
    assert number is not None
    assert rows[number] == written[: written.index(END)]


@given(rows=ROWS)
def test_every_candidate_has_a_way_and_nothing_else_is_one(rows):
    trie = CandidateTrie([[*row, END] for row in rows], END)
    for row in rows:
        assert all(token in trie.allowed(row[:place]) for place, token in enumerate([*row, END]))
        assert rows[trie.which([*row, END])] == row
    assert trie.which([9, END]) is None
    assert trie.which([]) is None
    assert trie.allowed([9]) == [END]
