"""Files of triples, whole and broken, as they come into the table `raw`."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kb_index.errors import TripleFileError
from kb_index.readers import CHUNK_BYTES, check_format, check_source, create_reader, load_lines


@pytest.fixture
def connection():
    import duckdb

    with duckdb.connect() as connection:
        create_reader(connection)
        yield connection


def write(folder: Path, content: str | bytes, name: str = "triples.kb") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def check(path: Path) -> None:
    check_source(path, lambda _: None)


def read(connection, path: Path) -> list[tuple]:
    load_lines(connection, path, 7)
    return connection.execute("SELECT line_number, subject, predicate, object, reason, text FROM raw").fetchall()


def test_a_source_is_known_by_its_content(tmp_path):
    content = "坛经 ||| 作者 ||| 惠能\n".encode()
    chunks = []
    source = check_source(write(tmp_path, content), chunks.append)
    assert source.sha256 == hashlib.sha256(content).hexdigest()
    assert (source.bytes, chunks) == (29, [29])


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
    ],
)
def test_a_line_is_three_trimmed_parts(tmp_path, connection, content, expected):
    assert read(connection, write(tmp_path, content)) == [(1, *expected, None, None)]


def test_bad_lines_keep_their_number_reason_and_beginning(tmp_path, connection):
    lines = [
        "坛经 ||| 作者 ||| 惠能",
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
    rows = read(connection, write(tmp_path, "\n".join(lines)))
    assert [(row[0], row[4]) for row in rows] == [
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
    assert rows[1][5] == "no triple"
    assert rows[6][5] == "长" * 200


@pytest.mark.parametrize("name", ["a*b.kb", "a?.kb", "[ab].kb", 'it\'s "x".kb', "知识 库.kb", "data.kb.gz.txt"])
def test_a_file_may_have_any_name(tmp_path, connection, name):
    write(tmp_path, "falsch\n", "ab.kb")
    path = write(tmp_path, "坛经 ||| 作者 ||| 惠能\n", name)
    check_format(connection, path)
    assert [row[1] for row in read(connection, path)] == ["坛经"]


PART = st.text(
    st.characters(blacklist_categories=["Cs"], blacklist_characters="\0\r\n|").filter(lambda c: not c.isspace()),
    min_size=1,
    max_size=8,
).filter(lambda part: part.strip("\ufeff") == part)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(triples=st.lists(st.tuples(PART, PART, PART), min_size=1, max_size=8), end=st.sampled_from(["\n", "\r\n"]))
def test_what_is_written_is_read(tmp_path, connection, triples, end):
    connection.execute("DELETE FROM raw")
    path = write(tmp_path, "".join(f"{' ||| '.join(triple)}{end}" for triple in triples))
    rows = read(connection, path)
    assert [row[1:4] for row in rows] == triples
    assert [row[0] for row in rows] == list(range(1, len(triples) + 1))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty; expected UTF-8 lines of `subject ||| predicate ||| object`"),
        (b"a ||| b ||| c\n\x00\x01", "binary, a zero byte at offset 14;"),
        ("坛经 ||| 作者 ||| 惠能\n".encode("gb18030"), "not UTF-8, byte 0xbe at offset 2;"),
        (b"a ||| b ||| c\n\xff\n", "not UTF-8, byte 0xff at offset 14;"),
        ("a ||| b ||| 坛".encode()[:-1], "not UTF-8, byte 0xe5 at offset 12;"),
        (b"x" * (2 * CHUNK_BYTES), "a line of over 4 MiB at offset 0;"),
    ],
)
def test_a_file_that_is_no_text_is_refused_with_the_place(tmp_path, content, message):
    with pytest.raises(TripleFileError) as caught:
        check(write(tmp_path, content))
    assert f"triples.kb: {message}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_character_may_lie_across_two_chunks(tmp_path):
    start = b"a ||| b |||" + b"\n" * (CHUNK_BYTES - 12)
    check(write(tmp_path, start + "坛\n".encode()))
    with pytest.raises(TripleFileError, match=f"byte 0xe5 at offset {CHUNK_BYTES - 1};"):
        check(write(tmp_path, start + b"\xe5\x9d\n"))


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(TripleFileError, match=r"missing\.kb: no such file"):
        check(tmp_path / "missing.kb")
    with pytest.raises(TripleFileError, match="not a file"):
        check(tmp_path)


def test_over_half_of_the_first_thousand_lines_bad_is_another_format(tmp_path, connection):
    good, bad = "坛经 ||| 作者 ||| 惠能\n", "坛经\t作者\t惠能\n"
    check_format(connection, write(tmp_path, good * 500 + bad * 500))
    check_format(connection, write(tmp_path, good * 1000 + bad * 5000))
    with pytest.raises(TripleFileError) as caught:
        check_format(connection, write(tmp_path, good * 499 + bad * 501 + good * 5000))
    assert (
        "501 of the first 1000 lines are no triples (line 500: expected 3 parts separated by |||, got 1); "
        "expected UTF-8 lines of `subject ||| predicate ||| object`"
    ) in str(caught.value)
    with pytest.raises(TripleFileError, match="2 of the first 3 lines"):
        check_format(connection, write(tmp_path, good + bad * 2))
    with pytest.raises(TripleFileError, match="nothing but blank lines"):
        check_format(connection, write(tmp_path, " \n\n\t\n"))


@pytest.mark.parametrize("name", ["triples.gz", "triples.kb.zst"])
def test_plain_text_is_read_whatever_its_name(tmp_path, connection, name):
    path = write(tmp_path, "坛经 ||| 作者 ||| 惠能\n", name)
    check_format(connection, path)
    assert read(connection, path) == [(1, "坛经", "作者", "惠能", None, None)]


@pytest.mark.parametrize("reads", [check_format, read])
def test_what_duckdb_cannot_read_is_one_line(tmp_path, connection, reads):
    path = write(tmp_path, "坛经 ||| 作者 ||| 惠能\n" + "字" * 3_000_000)
    with pytest.raises(
        TripleFileError, match=r"triples\.kb: cannot be read \(Invalid Input Error: .*; expected"
    ) as caught:
        reads(connection, path)
    assert "\n" not in str(caught.value)
