"""Chunks of the sources hold, together, the triples and the bad lines that are read in one piece."""

from __future__ import annotations

import json
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kb_index.errors import InputError, TripleFileError
from kb_index.layer_build import new_database
from kb_index.readers.load import load_sources
from kb_index.readers.raw_table import create_raw_table
from kb_index.readers.sources import ReadOptions, Source
from kb_index.shards import partition as partition_module
from kb_index.shards.merge import write_rejects
from kb_index.shards.partition import partition
from kb_index.shards.reading import ReadTask, read_chunk, read_report
from kb_index.shards.work import Work

GOOD = {
    "nlpcc": "坛经 ||| 作者 ||| 惠能{}",
    "tsv": "坛经\t作者\t惠能{}",
    "jsonl": '{{"subject": "坛经", "predicate": "作者", "object": "惠能{}"}}',
}
SUBJECTS = st.sampled_from(["坛经", "坛经(电影)", "惠 能", "Java", "java", "\ufeff鳞", "subject"])
OBJECTS = st.sampled_from(["惠能", "唐", "六祖、惠能", "object", "x" * 50])


def one_line(form: str) -> st.SearchStrategy[bytes]:
    good = {
        "nlpcc": st.builds("{} ||| 别名 ||| {}".format, SUBJECTS, OBJECTS),
        "tsv": st.builds("{}\tpredicate\t{}".format, SUBJECTS, OBJECTS)
        | st.builds("{}\t朝代\t{}\tmore".format, SUBJECTS, OBJECTS),
        "jsonl": st.builds(
            lambda s, o, more: json.dumps({"subject": s, "predicate": "朝代", "object": o, **more}, ensure_ascii=False),
            SUBJECTS,
            OBJECTS,
            st.sampled_from([{}, {"source": "wiki"}]),
        ),
    }[form]
    bad = st.sampled_from([b"", b"  ", b"half a line", b"\xff\xfe bad", b"a\0b"])
    return good.map(str.encode) | bad


@st.composite
def line_files(draw: st.DrawFn) -> tuple[str, bytes]:
    """Draw a format and a file that begins with enough good lines to be taken for one."""
    form = draw(st.sampled_from(sorted(GOOD)))
    ends = draw(st.sampled_from([[b"\n"], [b"\r\n"], [b"\n", b"\r\n", b"\r"]]))
    lines = [GOOD[form].format(i).encode() for i in range(6)]
    if form == "tsv" and draw(st.booleans()):
        lines.insert(0, b"object\tsubject\tpredicate\twhere")
    lines += draw(st.lists(one_line(form), max_size=30))
    content = b"".join(line + draw(st.sampled_from(ends)) for line in lines)
    return form, content.removesuffix(b"\n") if draw(st.booleans()) else content


@settings(max_examples=20, deadline=None)
@given(line_files(), st.integers(80, 600), st.integers(1, 4))
def test_lines_are_the_same_in_any_chunks(drawn: tuple[str, bytes], chunk_bytes: int, n_shards: int) -> None:
    form, content = drawn
    with TemporaryDirectory() as folder:
        path = Path(folder) / "kb"
        path.write_bytes(content)
        options = ReadOptions(form, memory_limit="300MB", threads=1)
        with patch.object(partition_module, "SAMPLE_LINES", 7):
            found = read_in_chunks([path], options, chunk_bytes, n_shards, Path(folder))
        assert found == read_whole([path], options, Path(folder))


def read_whole(sources: list[Source], options: ReadOptions, folder: Path) -> tuple[object, ...]:
    whole = folder / "whole"
    whole.mkdir(parents=True)
    with new_database(whole, "300MB", 1) as connection:
        create_raw_table(connection)
        read = load_sources(connection, sources, options, whole / "spill", lambda _: None)
        triples = connection.execute(
            "SELECT subject, predicate, object, key, extra FROM raw WHERE reason IS NULL ORDER BY rowid"
        ).fetchall()
        rejects = connection.execute(
            "SELECT file, line_number, reason, text FROM raw WHERE reason IS NOT NULL ORDER BY file, line_number"
        ).fetchall()
    return triples, [(read[file].path, *rest) for file, *rest in rejects], read


def read_in_chunks(
    sources: list[Source], options: ReadOptions, chunk_bytes: int | None, n_shards: int, folder: Path
) -> tuple[object, ...]:
    index = folder / "index"
    chunks = partition(sources, options, chunk_bytes)
    for chunk in reversed(chunks):
        read_chunk(ReadTask(index, chunk, n_shards, options))
    reports = [report for chunk in chunks if (report := read_report(index, chunk))]
    with duckdb.connect() as connection:
        write_rejects(connection, index, chunks, reports)
        pieces = [[str(piece) for piece in Work(index).pieces(shard, len(chunks))] for shard in range(n_shards)]
        rows = [connection.execute("SELECT * FROM read_parquet($1)", [of]).fetchall() for of in pieces]
    assert all(of_shard == sorted(of_shard, key=lambda row: row[:2]) for of_shard in rows)
    subjects = [{row[5] or row[2] for row in of_shard} for of_shard in rows]
    assert sum(map(len, subjects)) == len(set().union(*subjects))
    triples = [row[2:] for row in sorted(chain.from_iterable(rows), key=lambda row: row[:2])]
    rejects = [
        tuple(json.loads(line).values())
        for line in (index / "rejects.jsonl").read_text(encoding="utf-8").split("\n")[:-1]
    ]
    sources_read = dict(sorted(chain.from_iterable(report.sources.items() for report in reports)))
    assert sum(report.lines for report in reports) == len(triples) + len(rejects)
    return triples, rejects, list(sources_read.values())


GRAPH = """<http://kb/1> <http://kb/p> <http://kb/2> .
<http://kb/2> <http://www.w3.org/2000/01/rdf-schema#label> "惠能"@zh .
no triple
<http://kb/3> <http://kb/p> "x" .
"""
LABELS = '<http://kb/1> <http://www.w3.org/2000/01/rdf-schema#label> "坛经"@zh ; <http://kb/q> "1" .\n'


def test_sources_of_all_kinds_keep_their_order(tmp_path: Path) -> None:
    contents = {
        "a.nlpcc": "坛经 ||| 作者 ||| 惠能\n半行\n" * 3 + "甲 ||| 乙 ||| 丙\n",
        "b.nt": GRAPH,
        "c.csv": 'subject,predicate,object,source\n坛经,朝代,唐,"a, b"\n鳞,拼音\n',
        "d.ttl": LABELS,
        "e.tsv": "坛经\t语言\t汉语\n",
    }
    for name, content in contents.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    paths: list[Source] = [tmp_path / name for name in contents]
    sources = [*paths[:2], [("坛经", "页数", 100)], *paths[2:]]
    options = ReadOptions(memory_limit="300MB", threads=1)
    whole = read_whole(sources, options, tmp_path)
    assert [part.name.rpartition("/")[2] for chunk in partition(sources, options, 1) for part in chunk.parts] == [
        "a.nlpcc",
        "<rows 1>",
        "c.csv",
        "e.tsv",
        "b.nt",
        "d.ttl",
    ]
    assert read_in_chunks(sources, options, 1, 3, tmp_path / "apart") == whole
    assert read_in_chunks(sources, options, None, 2, tmp_path / "together") == whole


def test_a_file_by_url_is_read_like_one_by_path(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    lines = "".join(f"坛经{i % 7} ||| 作者 ||| 惠能{i}\n" for i in range(1200))
    for name in ("b.kb", "a.kb"):
        (tmp_path / name).write_text(lines, encoding="utf-8")
    options = ReadOptions("nlpcc", memory_limit="300MB", threads=1)
    chunks = partition([f"{tmp_path.as_uri()}/*.kb"], options, 1000)
    parts = [part for chunk in chunks for part in chunk.parts]
    assert [(part.name, part.source) for part in parts if not (part.span and part.span.start)] == [
        (f"{tmp_path.as_uri()}/a.kb", 0),
        (f"{tmp_path.as_uri()}/b.kb", 1),
    ]
    url = f"{tmp_path.as_uri()}/a.kb"
    triples, rejects, (source,) = read_in_chunks([url], options, 1000, 2, tmp_path)
    expected, _, (whole,) = read_whole([tmp_path / "a.kb"], options, tmp_path)
    assert (triples, rejects, source) == (expected, [], whole._replace(path=url))
    assert read_whole([url], options, tmp_path / "by-url")[2] == [source]
    with pytest.raises(TripleFileError, match="no such file"):
        partition([f"{tmp_path.as_uri()}/none.kb"], options)
    with pytest.raises(TripleFileError, match="no file matches"):
        partition([f"{tmp_path.as_uri()}/*.none"], options)
    with pytest.raises(TripleFileError, match="cannot be read"):
        partition(["s4://bucket/kb"], options)


def test_a_file_is_judged_by_its_first_thousand_lines(tmp_path: Path) -> None:
    path = tmp_path / "kb"
    path.write_text("坛经 ||| 作者 ||| 惠能\n" * 501 + "半行\n" * 2000, encoding="utf-8")
    options = ReadOptions("nlpcc", memory_limit="300MB", threads=1)
    chunks = partition([path], options, 8000)
    assert len(chunks) > 1
    for chunk in chunks:
        read_chunk(ReadTask(tmp_path / "index", chunk, 2, options))
    path.write_text(
        "坛经 ||| 作者 ||| 惠能\n" * 499 + "半行\n" * 501 + "坛经 ||| 作者 ||| 惠能\n" * 999, encoding="utf-8"
    )
    with pytest.raises(TripleFileError, match="501 of the first 1000 lines are no triples"):
        read_chunk(ReadTask(tmp_path / "other", partition([path], options, 100)[0], 2, options))


def test_what_cannot_be_read_is_said_at_once(tmp_path: Path) -> None:
    path = tmp_path / "kb"
    path.write_text("坛经 ||| 作者 ||| 惠能\n", encoding="utf-8")
    (chunk,) = partition([path], ReadOptions())
    path.write_text("坛经 ||| 作者 ||| 惠能和别人\n", encoding="utf-8")
    with pytest.raises(TripleFileError, match="changed while it was read"):
        read_chunk(ReadTask(tmp_path / "index", chunk, 2, ReadOptions()))
    assert list((tmp_path / "index").rglob("*.parquet")) == []
    (tmp_path / "empty").touch()
    with pytest.raises(TripleFileError, match="empty"):
        partition([tmp_path / "empty"], ReadOptions())
    with pytest.raises(InputError, match="format 'rtf'"):
        partition([path], ReadOptions("rtf"))
