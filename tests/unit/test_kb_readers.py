"""NLPCC lines, whole and broken, as they come into the table `raw`."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cli.options import TRIPLE_FORMATS
from kb_index.errors import InputError, TripleFileError
from kb_index.readers.byte_pass import CHUNK_BYTES
from kb_index.readers.formats import FORMATS
from kb_index.readers.load import load_sources, total_bytes
from kb_index.readers.sources import ReadOptions

GOOD = "坛经 ||| 作者 ||| 惠能\n"
DEFAULT = ReadOptions()


def write(folder: Path, content: str | bytes, name: str = "triples.kb") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def load(connection, *sources, options=DEFAULT, on_bytes=lambda _: None):
    return load_sources(connection, sources, options, Path(sources[0]).parent / "spill", on_bytes)


def rows(connection) -> list[tuple]:
    sql = "SELECT line_number, subject, predicate, object, reason, text FROM raw ORDER BY file, line_number"
    return connection.execute(sql).fetchall()


def read(connection, path: Path) -> list[tuple]:
    load(connection, path)
    return rows(connection)


def rejects(connection, path: Path) -> list[tuple]:
    return [(row[0], row[4]) for row in read(connection, path) if row[4] is not None]


def refused(connection, path) -> str:
    with pytest.raises(TripleFileError) as caught:
        load(connection, path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_source_is_known_by_its_content(tmp_path, connection):
    path, seen = write(tmp_path, GOOD * 3), []
    (source,) = load(connection, path, on_bytes=seen.append)
    assert source == (str(path), hashlib.sha256(GOOD.encode() * 3).hexdigest(), 87)
    assert sum(seen) == total_bytes([path]) == 174


def test_sources_keep_their_order_and_number(tmp_path, connection):
    load(connection, write(tmp_path, "b ||| p ||| 1\n" * 2, "z.kb"), write(tmp_path, "a ||| p ||| 2\n", "a.kb"))
    got = connection.execute("SELECT file, line_number, subject FROM raw ORDER BY rowid").fetchall()
    assert got == [(0, 1, "b"), (0, 2, "b"), (1, 1, "a")]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("坛经 ||| 作者 ||| 惠能", ("坛经", "作者", "惠能")),
        ("坛经|||作者|||惠能\r\n", ("坛经", "作者", "惠能")),
        ("\ufeff坛经\t|||\u3000作者 \u00a0|||  惠能\u2003\n", ("坛经", "作者", "惠能")),
        ('"坛经" ||| 作,者 ||| "惠能\n', ('"坛经"', "作,者", '"惠能')),
        ("# ||| \\ ||| '\n", ("#", "\\", "'")),
        ("坛经 ||| 民 族 ||| a|b||c\n", ("坛经", "民 族", "a|b||c")),
        ("坛经 ||| 作者 ||| 惠能 ||| 六祖\n", ("坛经", "作者", "惠能 ||| 六祖")),
        ("NULL ||| null ||| \\N\n", ("NULL", "null", "\\N")),
        ("a\\nb ||| \\t ||| c\\nd\\r\n", ("a\\nb", "\\t", "c\\nd\\r")),
        ("坛\t经 ||| 作\x01\x1f\x7f者 ||| 惠 \u2028\u0085能\x0b\n", ("坛 经", "作 者", "惠  能")),
    ],
)
def test_a_line_is_three_trimmed_parts(tmp_path, connection, content, expected):
    assert read(connection, write(tmp_path, content)) == [(1, *expected, None, None)]


def test_bad_lines_keep_their_number_reason_and_beginning(tmp_path, connection):
    lines = [
        GOOD.strip(),
        "",
        "no triple",
        "坛经 ||| 作者",
        "   ",
        " ||| 作者 ||| 惠能",
        "坛经 |||  ||| 惠能",
        "坛经 ||| 作者 ||| ",
        "长" * 300,
        "|||",
        "坛经 ||| 朝代 ||| 唐",
        "坛经 ||| 半",
    ]
    got = read(connection, write(tmp_path, "\n".join([*lines, *[GOOD.strip()] * 10])))
    assert [(row[0], row[4]) for row in got][:10] == [
        (1, None),
        (3, "expected 3 parts separated by |||, got 1"),
        (4, "expected 3 parts separated by |||, got 2"),
        (6, "the subject is empty"),
        (7, "the predicate is empty"),
        (8, "the object is empty"),
        (9, "expected 3 parts separated by |||, got 1"),
        (10, "expected 3 parts separated by |||, got 2"),
        (11, None),
        (12, "expected 3 parts separated by |||, got 2"),
    ]
    assert got[1] == (3, None, None, None, "expected 3 parts separated by |||, got 1", "no triple")
    assert got[6][5] == "长" * 200


@pytest.mark.parametrize("name", ["a*b.kb", "a?.kb", "[ab].kb", 'it\'s "x".kb', "知识 库.kb", "data.kb.gz.txt"])
def test_a_file_may_have_any_name(tmp_path, connection, name):
    write(tmp_path, "falsch\n", "ab.kb")
    assert [row[1] for row in read(connection, write(tmp_path, GOOD, name))] == ["坛经"]


PART = st.text(
    st.characters(blacklist_categories=["Cs", "Cc", "Zl", "Zp"], blacklist_characters="|").filter(
        lambda c: not c.isspace()
    ),
    min_size=1,
    max_size=8,
).filter(lambda part: part.strip("\ufeff") == part)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    triples=st.lists(st.tuples(PART, PART, PART), min_size=1, max_size=8),
    ends=st.lists(st.sampled_from(["\n", "\r\n", "\r", "\n\n"]), min_size=8, max_size=8),
)
def test_what_is_written_is_read_whatever_the_line_ends(tmp_path, connection, triples, ends):
    connection.execute("DELETE FROM raw")
    lines = [f"{' ||| '.join(triple)}{end}" for triple, end in zip(triples, ends, strict=False)]
    got = read(connection, write(tmp_path, "".join(lines)))
    assert [row[1:4] for row in got] == triples
    numbers = [1 + len("".join(lines[:i]).replace("\r\n", "\n").splitlines()) for i in range(len(lines))]
    assert [row[0] for row in got] == numbers


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"a ||| b ||| \xff", "not UTF-8, byte 0xff at byte 13 of the line"),
        ("a ||| b ||| 坛".encode()[:-1], "not UTF-8, byte 0xe5 at byte 13 of the line"),
        (b"a ||| b ||| \xed\xa0\x80", "not UTF-8, byte 0xed at byte 13 of the line"),
        (b"a ||| \0b ||| c", "a zero byte at byte 7 of the line"),
        (b"a ||| b ||| " + b"x" * 10_000_000, "a line of 10000012 bytes, expected at most 8 MiB"),
        (b"a ||| b ||| " + b"x" * 1_100_000, "the object has 1100000 bytes, expected at most 1 MiB"),
    ],
    ids=["byte", "cut", "surrogate", "zero", "line", "value"],
)
def test_a_line_that_cannot_be_read_is_rejected_and_the_rest_loads(tmp_path, connection, line, reason):
    path = write(tmp_path, GOOD.encode() + b"\n" + line + b"\r\n" + GOOD.encode() * 2)
    got = read(connection, path)
    assert [(row[0], row[4]) for row in got] == [(1, None), (3, reason), (4, None), (5, None)]
    assert got[1][1:4] == (None, None, None)
    assert got[1][5] == line[:220].decode("utf-8", "replace")[:200]


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_an_over_long_line_ends_where_it_ends(tmp_path, connection, end):
    fill = b"x" * (3 * CHUNK_BYTES - 13 - len(end))  # the line's end lies across two chunks
    path = write(tmp_path, b"a ||| b ||| " + fill + end + end + GOOD.encode() * 3)
    got = read(connection, path)
    assert [(row[0], row[1]) for row in got] == [(1, None), (3, "坛经"), (4, "坛经"), (5, "坛经")]


def test_a_character_and_a_line_end_may_lie_across_two_chunks(tmp_path, connection):
    fill = b"a ||| b ||| c\r\n" * (CHUNK_BYTES // 15)
    fill += b"a ||| b ||| " + b"c" * (CHUNK_BYTES - len(fill) - 13) + b"\r\n"  # \r is the chunk's last byte
    got = read(connection, write(tmp_path, fill + "坛 ||| b ||| c\r\n".encode()))
    assert got[-1] == (CHUNK_BYTES // 15 + 2, "坛", "b", "c", None, None)


def test_over_half_of_the_first_thousand_lines_bad_is_another_format(tmp_path, connection):
    bad = "坛经 作者 惠能\n"
    load(connection, write(tmp_path, GOOD * 500 + bad * 500))
    load(connection, write(tmp_path, GOOD * 1000 + bad * 5000))
    assert (
        "501 of the first 1000 lines are no triples (line 500: expected 3 parts separated by |||, got 1); "
        "expected UTF-8 lines of `subject ||| predicate ||| object`"
    ) in refused(connection, write(tmp_path, GOOD * 499 + bad * 501 + GOOD * 5000))
    assert "2 of the first 3 lines" in refused(connection, write(tmp_path, GOOD + bad * 2))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty; expected UTF-8 lines of `subject ||| predicate ||| object`"),
        (b" \n\n\t\n", "nothing but blank lines; expected UTF-8 lines"),
        (b"\0\n\xff\0", "2 of the first 2 lines are no triples (line 1: a zero byte at byte 1 of the line);"),
        (GOOD.encode("gb18030") * 3, "(line 1: not UTF-8, byte 0xbe at byte 3 of the line);"),
        (GOOD.encode("utf-16"), "UTF-16; expected UTF-8, convert it: iconv -f UTF-16 -t UTF-8"),
    ],
)
def test_a_file_that_is_no_text_is_refused(tmp_path, connection, content, message):
    assert message in refused(connection, write(tmp_path, content))


def test_another_encoding_is_refused_with_the_remedy(tmp_path, connection):
    path = write(tmp_path, (GOOD * 2000).encode("gb18030"))
    assert "1000 of the first 1000 lines" in refused(connection, path)
    assert refused(connection, path).endswith("convert it: iconv -f GB18030 -t UTF-8")


def test_a_missing_file_and_a_folder_are_refused_before_anything_is_read(tmp_path, connection):
    assert "missing.kb: no such file" in refused(connection, tmp_path / "missing.kb")
    assert "not a file" in refused(connection, tmp_path)
    with pytest.raises(TripleFileError, match="no such file"):
        load(connection, write(tmp_path, GOOD), tmp_path / "missing.kb")
    assert rows(connection) == []


def test_the_command_line_offers_all_formats():
    assert ["auto", *FORMATS] == TRIPLE_FORMATS  # written twice, so that `--help` need not import the readers


def test_a_format_that_is_not_known(tmp_path, connection):
    with pytest.raises(InputError, match="format 'xml': not known; expected auto, nlpcc, tsv, csv, jsonl"):
        load(connection, write(tmp_path, GOOD), options=ReadOptions("xml"))


@pytest.mark.parametrize("end", ["more", "less", "other"])
def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path, connection, end):
    path = write(tmp_path, GOOD * 2)

    def change(_: int) -> None:
        path.write_text({"more": GOOD * 3, "less": GOOD[:5], "other": "x"}[end])

    with pytest.raises(TripleFileError, match=r"triples\.kb: changed while it was read; wait until it is written"):
        load(connection, path, on_bytes=change)
