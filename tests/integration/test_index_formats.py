"""The same facts in every format give indexes that answer alike."""

import csv
import gzip
import io
import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from kb_index import KnowledgeBase, build_index
from kb_index.errors import TripleFileError
from kb_index.readers.sources import ReadOptions

FACTS = [("坛经", "作者", "惠能"), ("坛经", "朝代", "唐"), ("惠能", "民族", "汉族"), ("坛经", "又名", '六祖"坛经", 经')]
NAMES = ("subject", "predicate", "object")


def text(format_: str) -> str:
    if format_ == "csv":
        stream = io.StringIO()
        csv.writer(stream).writerows([NAMES, *FACTS])
        return stream.getvalue()
    if format_ == "jsonl":
        return "".join(json.dumps(dict(zip(NAMES, fact, strict=True))) + "\n" for fact in FACTS)
    if format_ in ("ntriples", "turtle"):
        lines = (f"<http://a.org/{s}> <http://a.org/{p}> {json.dumps(o, ensure_ascii=False)} .\n" for s, p, o in FACTS)
        return ("# base\n" if format_ == "ntriples" else "@prefix : <http://a.org/> .\n") + "".join(lines)
    return "".join({"tsv": "\t", "nlpcc": " ||| "}[format_].join(fact) + "\n" for fact in FACTS)


def source(format_: str, folder: Path):
    if format_ == "rows":
        return FACTS
    frame = pl.DataFrame(FACTS, schema=list(NAMES), orient="row")
    if format_ in ("polars", "pandas"):
        return frame if format_ == "polars" else frame.to_pandas()
    if format_ == "parquet":
        frame.write_parquet(folder / "kb")
    else:
        (folder / "kb").write_bytes(gzip.compress(text(format_).encode()))
    return folder / "kb"


@pytest.mark.parametrize(
    "format_",
    ["nlpcc", "tsv", "csv", "jsonl", "parquet", "ntriples", "turtle", "polars", "pandas", "rows"],
)
def test_every_format_answers_alike(tmp_path, format_):
    build_index([source(format_, tmp_path)], tmp_path / "index", progress=False)
    with KnowledgeBase.open(tmp_path / "index") as kb:
        counts = kb.manifest.counts
        assert (counts.lines, counts.triples, counts.duplicates, counts.rejected) == (4, 4, 0, 0)
        assert [triple[1:4] for triple in kb.triples_of([0, 1])] == [FACTS[0], FACTS[1], FACTS[3], FACTS[2]]
        assert [entity.name for entity in kb.entities([0, 1])] == ["坛经", "惠能"]
        assert [triple.subject for triple in kb.triples_about("惠能", 10)] == ["坛经"]


def test_further_columns_come_back_with_the_evidence(tmp_path):
    path = tmp_path / "kb.csv"
    path.write_text("书,属性,值,来源,置信度\n坛经,作者,惠能,百科,0.9\n坛经,朝代,,百科,0.9\n", encoding="utf-8")
    options = ReadOptions(columns=("书", "属性", "值"))
    build_index([path], tmp_path / "index", options=options, progress=False)
    with KnowledgeBase.open(tmp_path / "index") as kb:
        (triple,) = kb.with_extra(kb.triples_of([0]))
        assert triple[1:4] == ("坛经", "作者", "惠能")
        assert triple.extra == ({"来源": "百科", "置信度": "0.9"},)
        assert (kb.manifest.counts.lines, kb.manifest.counts.rejected) == (2, 1)
    (reject,) = (tmp_path / "index" / "rejects.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(reject) == {
        "file": str(path),
        "line": 3,
        "reason": "the object is empty",
        "text": "坛经,朝代,,百科,0.9",
    }


def test_resources_of_one_name_are_kept_apart(tmp_path):
    label = "<http://www.w3.org/2000/01/rdf-schema#label>"
    lines = [f'<http://a.org/{i}> {label} "李娜" .\n<http://a.org/{i}> <http://a.org/job> "{i}" .\n' for i in "12"]
    (tmp_path / "kb.nt").write_text("".join(lines), encoding="utf-8")
    build_index([tmp_path / "kb.nt"], tmp_path / "index", progress=False)
    with KnowledgeBase.open(tmp_path / "index") as kb:
        assert [tuple(entity) for entity in kb.entities([0, 1])] == [
            (0, "李娜", "http://a.org/1"),
            (1, "李娜", "http://a.org/2"),
        ]
        assert [triple[2:4] for triple in kb.triples_of([1])] == [("label", "李娜"), ("job", "2")]


def test_a_table_without_the_columns_leaves_no_index(tmp_path):
    (tmp_path / "kb.csv").write_text("a,b,c\n1,2,3\n")
    with pytest.raises(TripleFileError, match="it has a, b, c; name the three"):
        build_index([tmp_path / "kb.csv"], tmp_path / "index", progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["kb.csv"]


def test_standard_input_and_a_glob_from_the_command_line(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.tsv").write_text(f"{name}\t作者\t惠能\n", encoding="utf-8")
    run = subprocess.run(
        [sys.executable, "-c", "import cli; cli.main()", "index", "*.tsv", "-", "--out", "kb"],
        cwd=tmp_path,
        input=gzip.compress("坛经 ||| 作者 ||| 惠能\n".encode()),
        env={"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": ""},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr.decode()
    with KnowledgeBase.open(tmp_path / "kb") as kb:
        assert [entity.name for entity in kb.entities([0, 1, 2])] == ["a", "b", "坛经"]
        assert [source.path for source in kb.manifest.sources] == ["a.tsv", "b.tsv", "-"]
