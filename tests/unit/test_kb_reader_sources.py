"""Packed files, globs and standard input."""

import bz2
import gzip
import hashlib
import io
import os
import sys
from pathlib import Path

import pytest
import zstandard

from kb_index.errors import TripleFileError
from kb_index.readers.load import load_sources, total_bytes
from kb_index.readers.sources import ReadOptions

GOOD = "坛经 ||| 作者 ||| 惠能\n"
PACK = {"gz": gzip.compress, "bz2": bz2.compress, "zst": zstandard.ZstdCompressor(write_checksum=True).compress}


def load(connection, tmp_path, *sources, on_bytes=lambda _: None, options=None):
    read = load_sources(connection, sources, options or ReadOptions(), tmp_path / "spill", on_bytes)
    rows = connection.execute("SELECT file, line_number, subject, object, reason FROM raw ORDER BY rowid").fetchall()
    return read, rows


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("kind", PACK)
@pytest.mark.parametrize("name", ["kb.{}", "kb"])
def test_a_packed_file_is_known_by_its_first_bytes(tmp_path, connection, kind, name):
    content = PACK[kind](GOOD.encode()) + PACK[kind](b"a ||| b ||| c\n\xff\nd ||| e ||| f")
    path, seen = write(tmp_path / name.format(kind), content), []
    (source,), rows = load(connection, tmp_path, path, on_bytes=seen.append)
    assert source == (str(path), hashlib.sha256(content).hexdigest(), len(content))
    assert sum(seen) == total_bytes([path]) == 2 * len(content)
    assert [row[1:4] for row in sorted(rows)] == [(1, "坛经", "惠能"), (2, "a", "c"), (3, None, None), (4, "d", "f")]


@pytest.mark.parametrize("kind", PACK)
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("kb.csv", 'subject,predicate,"object"\na,b,"c\nd"\n'),
        ("kb.tsv", "a\tb\tc d\n"),
        ("kb.jsonl", '["a", "b", "c d"]\n'),
        ("kb.nt", '<http://x/a> <http://x/b> "c d" .\n'),
        ("kb.ttl", '<http://x/a> <http://x/b> "c d" .\n'),
    ],
)
def test_every_text_format_may_be_packed(tmp_path, connection, kind, name, content):
    path = write(tmp_path / f"{name}.{kind}", PACK[kind](content.encode()))
    _, rows = load(connection, tmp_path, path)
    assert [row[2:] for row in rows] == [("a", "c d", None)]


@pytest.mark.parametrize("kind", PACK)
@pytest.mark.parametrize("harm", ["cut", "changed"])
def test_a_damaged_packed_file_is_refused(tmp_path, connection, kind, harm):
    content = bytearray(PACK[kind](b"".join(b"a%d ||| b ||| c\n" % i for i in range(1000))))
    if harm == "cut":
        del content[-5:]
    else:
        content[len(content) // 2] ^= 0xFF
    with pytest.raises(
        TripleFileError, match=r"kb: not a whole (gzip|bzip2|zstd) file \(.*\); pack or download"
    ) as caught:
        load(connection, tmp_path, write(tmp_path / "kb", bytes(content)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["triples.gz", "triples.kb.zst"])
@pytest.mark.parametrize("text", [GOOD, "BZhang ||| b ||| c\n"])
def test_plain_text_is_read_whatever_its_name(tmp_path, connection, name, text):
    _, rows = load(connection, tmp_path, write(tmp_path / name, text.encode()))
    assert rows[0][2] == text.split(" ")[0]


def test_a_glob_is_its_files_in_the_order_of_their_names(tmp_path, connection):
    for name in ("b.kb", "a.kb", "c.txt"):
        write(tmp_path / name, f"{name} ||| b ||| c\n".encode())
    read, rows = load(connection, tmp_path, str(tmp_path / "[ab]*.kb"), tmp_path / "c.txt")
    assert [source.path for source in read] == [str(tmp_path / name) for name in ("a.kb", "b.kb", "c.txt")]
    assert [(row[0], row[2]) for row in rows] == [(0, "a.kb"), (1, "b.kb"), (2, "c.txt")]
    assert total_bytes([str(tmp_path / "*.kb")]) == 4 * 17


def test_a_file_of_that_very_name_comes_before_a_glob(tmp_path, connection):
    write(tmp_path / "a.kb", b"wrong ||| b ||| c\n")
    write(tmp_path / "[a].kb", b"right ||| b ||| c\n")
    assert [row[2] for row in load(connection, tmp_path, tmp_path / "[a].kb")[1]] == ["right"]


def test_a_glob_without_a_match_is_refused(tmp_path, connection):
    with pytest.raises(TripleFileError, match=r"x\*\.kb: no file matches; expected a file or a pattern"):
        load(connection, tmp_path, tmp_path / "x*.kb")


@pytest.mark.parametrize("kind", [None, *PACK])
def test_standard_input_is_read_once(tmp_path, connection, kind, monkeypatch):
    content = "subject,predicate,object\n坛经,作者,惠能\n".encode()
    content = PACK[kind](content) if kind else content
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    (source,), rows = load(connection, tmp_path, "-")
    assert source == ("-", hashlib.sha256(content).hexdigest(), len(content))
    assert rows == [(0, 2, "坛经", "惠能", None)]
    with pytest.raises(TripleFileError, match=r"-: named twice; standard input can be read once"):
        load(connection, tmp_path, "-", "-")
    with pytest.raises(TripleFileError, match="-: empty"):
        load(connection, tmp_path, "-")


def test_a_file_that_cannot_be_read_is_named(tmp_path, connection, monkeypatch):
    path = write(tmp_path / "kb", GOOD.encode())

    def refuse(*_args, **_kwargs):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("kb_index.readers.file_loader.read_bytes", refuse)
    with pytest.raises(TripleFileError, match=r"kb: cannot be read \(Permission denied\); make it readable"):
        load(connection, tmp_path, path)


def test_a_full_disk_stays_one(tmp_path, connection, monkeypatch):
    path = write(tmp_path / "kb", PACK["gz"](GOOD.encode()))

    def fail(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("kb_index.readers.file_loader.unpack", fail)
    with pytest.raises(OSError, match="No space left"):
        load(connection, tmp_path, path)


def test_the_name_of_a_folder_is_no_column(tmp_path, connection):
    folder = tmp_path / "line=5"
    folder.mkdir()
    _, rows = load(connection, tmp_path, write(folder / "kb", GOOD.encode()))
    assert rows == [(0, 1, "坛经", "惠能", None)]
    connection.execute(
        "COPY (SELECT 'a' AS subject, 'p' AS predicate, 'o' AS object) TO $1", [str(folder / "kb.parquet")]
    )
    load(connection, tmp_path, folder / "kb.parquet")
    assert connection.execute("SELECT object, extra FROM raw WHERE subject = 'a'").fetchall() == [("o", None)]


@pytest.mark.skipif(sys.platform == "darwin", reason="its file systems hold no such name")
def test_a_file_name_that_is_not_utf_8_is_refused(tmp_path, connection):
    path = write(tmp_path / os.fsdecode(b"kb-\xff.csv"), b'subject,predicate,object\n"a",p,o\n')
    with pytest.raises(TripleFileError, match=r"kb-\\udcff.csv': a file name that is not UTF-8; rename the file"):
        load(connection, tmp_path, path)
