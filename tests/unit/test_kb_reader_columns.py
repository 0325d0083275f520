"""TSV, CSV and JSON lines, and which column is what."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kb_index.errors import TripleFileError
from kb_index.readers.load import load_sources
from kb_index.readers.sources import ReadOptions


def load(connection, path: Path, format_: str = "auto", columns=None) -> list[tuple]:
    connection.execute("DELETE FROM raw")
    load_sources(connection, [path], ReadOptions(format_, columns), path.parent / "spill", lambda _: None)
    return connection.execute("SELECT * EXCLUDE (file, key) FROM raw ORDER BY line_number").fetchall()


def write(folder: Path, content: str | bytes, name: str) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refused(connection, path: Path, columns=None) -> str:
    with pytest.raises(TripleFileError) as caught:
        load(connection, path, columns=columns)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_tsv_without_a_header_numbers_its_further_columns(tmp_path, connection):
    path = write(
        tmp_path, '坛经\t作者\t惠能\n\n坛经\t "朝代"\u3000\t唐\tbaike\t\t0.9\n坛经\t作者\n\t\t\nx\ty\tz\n', "kb.txt"
    )
    assert load(connection, path) == [
        (1, "坛经", "作者", "惠能", None, None, None),
        (3, "坛经", '"朝代"', "唐", '{"column4":"baike","column6":"0.9"}', None, None),
        (4, None, None, None, None, "expected 3 columns, got 2", "坛经\t作者"),
        (5, None, None, None, None, "the subject is empty", "\t\t"),
        (6, "x", "y", "z", None, None, None),
    ]


def test_tsv_with_a_header_may_have_its_columns_anywhere(tmp_path, connection):
    path = write(
        tmp_path, "\ufeffdate\tSubject\tpredicate\tOBJECT\n  \n2020\ta\tb\tc\n\ta\tb\td\tmore\n2021\ta\n", "kb.tsv"
    )
    assert load(connection, path) == [
        (3, "a", "b", "c", '{"date":"2020"}', None, None),
        (4, "a", "b", "d", '{"column5":"more"}', None, None),
        (5, None, None, None, None, "expected 4 columns, got 2", "2021\ta"),
    ]
    path = write(tmp_path, "von\tist\tzu\na\tb\tc\n", "kb.tsv")
    assert [row[1] for row in load(connection, path)] == ["von", "a"]
    assert load(connection, path, columns=("zu", "ist", "von")) == [(2, "c", "b", "a", None, None, None)]
    assert "no columns s, p, o; it has von, ist, zu; name the three" in refused(connection, path, ("s", "p", "o"))


CSV = """id,Name,attr,value,
1,坛经,作者,惠能,x

2,坛经,,惠能,
3,坛经,作者
4,坛经,作者,惠能,a,b
5, 坛经 ,作者,唐,
"""


def test_csv_keeps_further_columns_under_their_names(tmp_path, connection):
    expected = [
        (2, "坛经", "作者", "惠能", '{"id":"1","column5":"x"}', None, None),
        (4, None, None, None, None, "the predicate is empty", "2,坛经,,惠能,"),
        (5, None, None, None, None, "expected 5 columns, got 3", "3,坛经,作者"),
        (6, None, None, None, None, "expected 5 columns, got 6", "4,坛经,作者,惠能,a,b"),
        (7, "坛经", "作者", "唐", '{"id":"5"}', None, None),
    ]
    columns = ("name", "attr", "value")
    expected_rejects = [row[:6] for row in expected]
    more = "".join(f"{i},a,b,c,\n" for i in range(3))
    assert load(connection, write(tmp_path, CSV + more, "kb.csv"), columns=columns)[:5] == expected
    quoted = write(tmp_path, CSV.replace("Name", '"Name"') + more, "kb.csv")
    assert [row[:6] for row in load(connection, quoted, columns=columns)][:5] == expected_rejects


def test_csv_quotes_hold_commas_quotes_and_line_breaks(tmp_path, connection):
    content = 'subject,predicate,object,note\r\n"a, ""b""",p,"x\r\ny\tz",\r\n5" pipe,p,o,"\r\n1\r\n"\r\nlast,p,o,n\r\n'
    assert load(connection, write(tmp_path, content, "kb.csv")) == [
        (2, 'a, "b"', "p", "x y z", None, None, None),
        (4, '5" pipe', "p", "o", '{"note":"1"}', None, None),
        (7, "last", "p", "o", '{"note":"n"}', None, None),
    ]


def test_bad_csv_records_are_rejected_and_the_rest_loads(tmp_path, connection):
    lines = [b'subject,"predicate",object', b'a,"p"x,o', b'a,"p",\xff', b'a,"\0",o', b'a,"p",' + b"x" * 10_000_000]
    path = write(tmp_path, b"\n".join([*lines, b"a,p,o\r\nb,p,o\nc,p,o\rd,p,o\ne,p,o"]), "kb.csv")
    got = load(connection, path)
    assert [(row[0], row[1], row[5]) for row in got] == [
        (2, None, "not CSV: ',' expected after '\"'"),
        (3, None, "not UTF-8"),
        (4, None, "a zero byte"),
        (5, None, "the object has 10000000 bytes, expected at most 1 MiB"),
        (6, "a", None),
        (7, "b", None),
        (8, "c", None),
        (9, "d", None),
        (10, "e", None),
    ]
    assert [row[6] for row in got[:2]] == ['a,"p"x,o', "a,p,\ufffd"]
    path = write(tmp_path, 's,p,o\na,b,c\na,"b,c\nd,e,f\n', "kb.csv")
    assert "kb.csv: line 3: a quote is opened and never closed" in refused(connection, path, ("s", "p", "o"))


def test_csv_without_the_columns_lists_those_it_has(tmp_path, connection):
    for content in ("von,ist,zu\na,b,c\n", 'von,ist,"zu"\na,b,c\n'):
        message = refused(connection, write(tmp_path, content, "kb.csv"))
        assert "kb.csv: no columns subject, predicate, object; it has von, ist, zu; name the three" in message
        assert message.endswith("with --columns s,p,o, or give the file a header")
    assert "nothing but a header" in refused(connection, write(tmp_path, "subject,predicate,object\n", "kb.csv"))


VALUE = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=12)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(VALUE, VALUE, VALUE, VALUE), min_size=1, max_size=6))
def test_what_a_csv_writer_writes_is_read(tmp_path, connection, rows):
    import csv

    from kb_index.readers.values import clean

    good = [("a", "b", "c", "d")] * (len(rows) + 1)
    with (tmp_path / "kb.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("subject", "predicate", "object", "x"), *rows, *good])
    got = load(connection, tmp_path / "kb.csv")[: len(rows)]
    for row, values in zip(got, rows, strict=True):
        subject, predicate, object_, x = map(clean, values)
        if subject and predicate and object_:
            assert row[1:4] == (subject, predicate, object_)
            assert (json.loads(row[4])["x"] if x else row[4]) == (x or None)
        else:
            assert row[5].endswith("is empty")


JSON_LINES = [
    '\ufeff{"Subject": "a\\n\\tb", "predicate": "p", "object": 1.5, "src": "x\\u0000\\"y", "n": null, "t": [1, "坛"]}',
    '["a", "b", 3]',
    "",
    '{"object": true, "key": {}, "subject": "s", "predicate": "p\\\\n"}',
    '["a", "b"]',
    '{"subject": "a", "predicate": ["x"], "object": "o"}',
    '{"subject": "a", "object": "o"}',
    "nope",
    "3",
    '{"subject": "a", "subject": "b"}',
    '{"subject": "a", "predicate": "p", "object": null}',
    '{"subject": "a", "predicate": "p", "object": "\\ud800"}',
]


def test_json_lines_are_objects_or_lists(tmp_path, connection):
    path = write(tmp_path, "\r\n".join([*JSON_LINES, *['["a", "b", "c"]'] * 10]), "kb.jsonl")
    got = load(connection, path)
    assert [row[:5] for row in got[:3]] == [
        (1, "a b", "p", "1.5", '{"src":"x \\"y","t":"[1,\\"坛\\"]"}'),
        (2, "a", "b", "3", None),
        (4, "s", "p\\n", "true", '{"key":"{}"}'),
    ]
    assert [(row[0], row[5]) for row in got[3:11]] == [
        (5, "expected a list of three, got 2"),
        (6, "the predicate is a list, expected text"),
        (7, "one of the keys subject, predicate, object is missing"),
        (8, "not JSON"),
        (9, "expected an object or a list of three, got 3"),
        (10, "a key appears twice"),
        (11, "the object is empty"),
        (12, "not JSON"),
    ]
    assert got[3][6] == '["a", "b"]'
    path = write(tmp_path, '{"s": 1, "p": 2, "o": 3}\n', "kb.jsonl")
    assert load(connection, path, columns=("s", "p", "o")) == [(1, "1", "2", "3", None, None, None)]
    assert "(line 1: one of the keys subject, predicate, object is missing)" in refused(connection, path)


@pytest.mark.parametrize(
    ("content", "name", "format_"),
    [
        ("a ||| b ||| c\td\te\n", "kb", "nlpcc"),
        ("a\tb\tc\n", "kb.txt", "tsv"),
        ("subject,predicate,object\na,b,c\n", "kb.txt", "csv"),
        ('["a", "b", "c"]\n', "kb.txt", "jsonl"),
        ("<http://a/a> <http://a/b> <http://a/c> .\n", "kb.txt", "ntriples"),
        ("# x\n@prefix : <http://a/> .\n:a :b :c .\n", "kb.txt", "turtle"),
        ("PREFIX : <http://a/>\n:a :b :c .\n", "kb.TTL", "turtle"),
    ],
)
def test_the_format_is_found_by_content_or_ending(tmp_path, connection, content, name, format_):
    path = write(tmp_path, content, name)
    got = load(connection, path)
    assert [row[1:3] for row in got] == [("a", "b")]
    assert load(connection, path, format_) == got


def test_a_format_may_be_forced(tmp_path, connection):
    path = write(tmp_path, "a ||| b ||| c\td\te\n", "kb.csv")
    assert load(connection, path, "nlpcc")[0][1:4] == ("a", "b", "c d e")
    assert load(connection, path, "tsv")[0][1:4] == ("a ||| b ||| c", "d", "e")
