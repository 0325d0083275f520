"""Columns written from tables of DuckDB are read back as they were, and so are triples by subject and by object."""

from itertools import pairwise

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kb_index import columns
from kb_index.columns import TextColumn, fetch_columns, open_numbers, save_numbers, save_texts

# What the readers let through: no control characters, and no lone surrogates.
VALUES = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\u2028\u2029"), min_size=1)


@settings(deadline=None, max_examples=40)
@given(texts=st.lists(VALUES, max_size=12), chunk=st.integers(1, 5), data=st.data())
def test_texts_come_back_by_row_alone_and_in_groups(texts, chunk, data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("columns")
    cuts = data.draw(st.lists(st.integers(0, len(texts)), max_size=3).map(sorted))
    groups = np.array([0, *cuts, len(texts)])
    with duckdb.connect() as connection, pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "FETCH_ROWS", chunk)
        connection.execute("CREATE TABLE t (x VARCHAR)")
        for text in texts:
            connection.execute("INSERT INTO t VALUES ($1)", [text])
        save_texts(connection, "t", "x", folder / "each", np.arange(len(texts) + 1))
        save_texts(connection, "t", "x", folder / "grouped", groups)
    each, grouped = TextColumn.open(folder / "each"), TextColumn.open(folder / "grouped")
    assert [each[row] for row in range(len(each))] == texts
    for row, (start, end) in enumerate(pairwise(groups)):
        if start < end:
            assert grouped[row].split("\n") == texts[start:end]


@pytest.mark.parametrize(("numbers", "dtype"), [([], "uint32"), ([0, 4294967295], "uint32"), ([7, 1 << 32], "uint64")])
def test_numbers_take_eight_bytes_only_where_they_must(numbers, dtype, tmp_path):
    save_numbers(tmp_path / "n", np.array(numbers, dtype=np.uint64))
    read = open_numbers(tmp_path / "n")
    assert (read.tolist(), read.dtype) == (numbers, dtype)


def test_a_table_is_fetched_in_the_order_of_its_rows(monkeypatch):
    monkeypatch.setattr(columns, "FETCH_ROWS", 2)
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE t AS SELECT unnest([5, 3, 9, 1, 7]) AS x")
        chunks = [chunk.tolist() for (chunk,) in fetch_columns(connection, "x", "t", "x != 9")]
    assert chunks == [[5, 3], [1], [7]]
