"""Parquet files, data frames and rows from Python."""

import datetime
import sys
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from kb_index.errors import TripleFileError
from kb_index.readers.load import load_sources, total_bytes
from kb_index.readers.sources import ReadOptions

FIRST = datetime.datetime(2020, 1, 2, 3, 4, 5, tzinfo=datetime.timezone(datetime.timedelta(hours=8)))

TYPED = {
    "subject": ["a\tb", "b", None, "d"],
    "predicate": ["p", "q", "r", "s"],
    "object": [1990.0, 0.5, 1.0, float("nan")],
    "day": [datetime.date(2020, 2, 29), None, None, None],
    "time": [FIRST, None, None, None],
    "ok": [True, False, True, True],
    "count": [7, 8, 9, 10],
}

TYPED_ROWS = [
    (1, "a b", "p", "1990", '{"day":"2020-02-29","time":"2020-01-01 19:04:05+00:00","ok":"true","count":"7"}', None),
    (2, "b", "q", "0.5", '{"ok":"false","count":"8"}', None),
    (3, None, None, None, None, "the subject is empty"),
    (4, None, None, None, None, "the object is empty"),
]


def load(connection, tmp_path: Path, *sources, columns=None) -> list[tuple]:
    connection.execute("DELETE FROM raw")
    load.sources = load_sources(connection, sources, ReadOptions(columns=columns), tmp_path / "spill", lambda _: None)
    sql = "SELECT line_number, subject, predicate, object, extra, reason FROM raw ORDER BY file, line_number"
    return connection.execute(sql).fetchall()


def pandas_frame() -> pd.DataFrame:
    frame = pd.DataFrame({name: TYPED[name] for name in TYPED if name != "day"})
    frame.insert(3, "day", ["2020-02-29", "", None, None])
    return frame.astype({"time": "datetime64[us, UTC]"})


@pytest.mark.parametrize(
    "kind", ["pandas", "objects", "polars", "polars without pyarrow", "columns", "rows", "parquet"]
)
def test_typed_columns_become_text_by_one_rule(tmp_path, connection, kind, monkeypatch):
    if kind == "pandas":
        source = pandas_frame()
    elif kind == "objects":
        source = pandas_frame().astype({"predicate": object})
    elif kind == "rows":
        source = (dict(zip(TYPED, row, strict=True)) for row in zip(*TYPED.values(), strict=True))
    elif kind == "columns":
        source = TYPED
    elif kind == "parquet":
        source = tmp_path / "kb.parquet"
        pl.DataFrame(TYPED, strict=False).write_parquet(source)
    else:
        source = pl.DataFrame(TYPED, strict=False)
        if kind != "polars":
            monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert load(connection, tmp_path, source) == TYPED_ROWS


def test_the_columns_may_be_named_and_of_any_type(tmp_path, connection):
    frame = pl.DataFrame({"v on": [1], 'z"u': [True], "ist": [Decimal("1.50")], "x": ["y"]})
    frame.write_parquet(tmp_path / "kb")
    expected = [(1, "1", "1.50", "true", '{"x":"y"}', None)]
    for source in (frame, frame.to_pandas(), str(tmp_path / "kb")):
        assert load(connection, tmp_path, source, columns=("v on", "ist", 'Z"U')) == expected


@pytest.mark.parametrize("kind", ["frame", "parquet", "columns"])
def test_a_table_without_the_columns_or_with_nested_ones_is_refused(tmp_path, connection, kind):
    def source(columns: dict):
        frame = pl.DataFrame(columns)
        frame.write_parquet(tmp_path / "kb.parquet")
        return {"frame": frame, "parquet": tmp_path / "kb.parquet", "columns": columns}[kind]

    with pytest.raises(TripleFileError, match=r"no columns subject, predicate, object; it has a, b; name the three"):
        load(connection, tmp_path, source({"a": ["x"], "b": ["y"]}))
    nested = {"subject": ["a"], "predicate": ["p"], "object": [["x", "y"]]}
    with pytest.raises(TripleFileError, match=r"column object holds VARCHAR\[\]|the object is a list, expected text"):
        load(connection, tmp_path, source(nested))
    with pytest.raises(TripleFileError, match="no rows; expected"):
        load(connection, tmp_path, source({"subject": [], "predicate": [], "object": []}))


def test_a_damaged_parquet_file_is_one_line(tmp_path, connection):
    path = tmp_path / "kb.parquet"
    pl.DataFrame(TYPED, strict=False).write_parquet(path)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(TripleFileError, match=r"kb\.parquet: cannot be read \(") as caught:
        load(connection, tmp_path, path)
    assert "\n" not in str(caught.value)


def test_rows_are_tuples_of_three_or_mappings(tmp_path, connection):
    rows = [
        ("a", "b", "c\n"),
        ["a", np.int64(3), np.float32(0.5)],
        {"object": datetime.date(2020, 1, 1), "Subject": "s", "predicate": "p", "src": "x", "n": None},
        ("a", "b", None),
        ("a", ["b"], "c"),
        ("a", "b"),
        "abc",
        {"subject": "s"},
        ("a", "b", "\ud800"),
        ("a", "b", "x" * 1_100_000),
        *[("a", "b", pd.NaT), ("a", "b", pd.NA)],
        *[("a", "b", "c")] * 12,
    ]
    got = load(connection, tmp_path, iter(rows))
    assert got[:3] == [
        (1, "a", "b", "c", None, None),
        (2, "a", "3", "0.5", None, None),
        (3, "s", "p", "2020-01-01", '{"src":"x"}', None),
    ]
    assert [(row[0], row[5]) for row in got[3:12]] == [
        (4, "the object is empty"),
        (5, "the predicate is a list, expected text, a number or a date"),
        (6, "expected 3 values, got 2"),
        (7, "expected a tuple of three or a mapping, got str"),
        (8, "one of the columns is missing, it has subject"),
        (9, "the object is text with a lone surrogate, expected text, a number or a date"),
        (10, "the object has 1100000 bytes, expected at most 1 MiB"),
        (11, "the object is empty"),
        (12, "the object is empty"),
    ]
    assert len(got) == len(rows)


def test_more_rows_than_a_chunk_keep_their_order(tmp_path, connection):
    rows = [(f"s{i}", "p", str(i)) for i in range(1, 150_001)]
    got = load(connection, tmp_path, rows)
    assert [row[:2] for row in got] == [(i, f"s{i}") for i in range(1, 150_001)]


def test_rows_have_a_name_and_a_fingerprint_of_their_own(tmp_path, connection):
    (tmp_path / "kb.txt").write_text("a ||| b ||| c\n")
    sources = [[("a", "b", "c")], tmp_path / "kb.txt", {"subject": ["a"], "predicate": ["b"], "object": ["c"]}]
    assert len(load(connection, tmp_path, *sources)) == 3
    first, file, second = load.sources
    assert (first.path, file.path, second.path) == ("<rows 1>", str(tmp_path / "kb.txt"), "<rows 2>")
    assert (first.sha256, first.bytes) == (second.sha256, second.bytes)
    load(connection, tmp_path, [("a", "b", "d")])
    assert load.sources[0].sha256 != first.sha256
    assert total_bytes(sources) == 28


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ([], "<rows 1>: no rows; expected tuples of three"),
        (3, "<rows 1>: a value of type int; expected a path, a frame, or rows"),
        ({"subject": ["a"], "predicate": [1, 2], "object": []}, "<rows 1>: columns of 0 and 1 and 2 values"),
        ([("a", "b")] * 3, r"3 of the first 3 lines are no triples \(line 1: expected 3 values, got 2\)"),
    ],
)
def test_rows_that_are_none_are_refused(tmp_path, connection, source, message):
    with pytest.raises(TripleFileError, match=message):
        load(connection, tmp_path, source)
