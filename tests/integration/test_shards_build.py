"""An index in shards holds what one without shards holds, under the same numbers, however it came about."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from struct import unpack
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

import kb_index.vectors
from cli.commands import main
from kb_index import build_index, delete_triples, update_index
from kb_index.check import check_index
from kb_index.errors import IndexFolderError, InputError, TripleFileError
from kb_index.layer import Layer
from kb_index.manifest import read_manifest
from kb_index.names import BY_VALUE
from kb_index.normalize import plain_name
from kb_index.readers.sources import ReadOptions, Source
from kb_index.shards.build import ShardedBuild
from kb_index.shards.engines import LocalEngine
from kb_index.shards.layout import open_numbering, shard_folder
from kb_index.shards.shard import add_vectors
from kb_index.shards.work import Work
from kb_index.view import open_view
from kbqa_agent.sample import sample_triples

ROWS = [
    ("坛经(佛教经典)", "别名", "六祖坛经、Platform Sutra"),
    ("惠能", "别名", "六祖"),
    ("坛经", "类型", "电影"),
    ("坛经(佛教经典)", "作 者", "惠能"),
    ("惠能", "民 族[1]", "汉族"),
    ("坛经(佛教经典)", "作 者", "惠能"),
    ("Java (语言)", "作者", "James Gosling"),
    ("java", "首都", "雅加达"),
    ("坛经(佛教经典)", "朝代", "唐"),
    ("《坛经》(书)", "作者", "惠 能"),
    ("鳞", "拼音", "lín"),
]


def held(folder: Path) -> dict[str, Any]:
    """Give all that an index holds, by its ids in the whole."""
    manifest = read_manifest(folder)
    found: dict[str, Any] = {"entities": [], "triples": [], "extra": {}, "aliases": [], "attributes": {}}
    for shard in manifest.shards or [None]:
        with_files = shard_folder(folder, shard) if shard else folder
        layer = open_view(with_files).first
        n = layer.facts.n_entities
        numbers = open_numbering(folder, shard) if shard else None
        ids = numbers.entities.tolist() if numbers else list(range(n))
        assert ids == sorted(ids)
        triples = layer.facts.triples(range(n), ids, 0)
        firsts = numbers.triples if numbers else np.arange(n)
        place = {t.id: t.id + _offset(layer, firsts, ids.index(t.subject_id), bool(shard)) for t in triples}
        found["entities"] += layer.facts.entities(range(n), ids)
        found["triples"] += [t._replace(id=place[t.id]) for t in triples]
        found["extra"] |= {place[t]: extra for t, extra in layer.extra([t.id for t in triples]).items()}
        found["aliases"] += [(alias, _number(record, ids)) for alias, record in layer.names.iteritems()]
        for name, ((count,),) in ((a, layer.attributes._trie[a]) for a in layer.attributes._trie.iterkeys()):
            found["attributes"][name] = found["attributes"].get(name, 0) + count
        layer.close()
    return {key: sorted(value) if isinstance(value, list) else value for key, value in found.items()}


def _offset(layer: Layer, firsts: Any, row: int, is_shard: bool) -> int:
    return int(firsts[row]) - int(layer.facts._first[row]) if is_shard else 0


def _number(record: bytes, ids: Sequence[int]) -> int:
    (number,) = unpack(">I", record)
    return ids[number & ~BY_VALUE] | (number & BY_VALUE)


def similar(folder: Path, kind: str, texts: Sequence[str]) -> list[dict[str, float]]:
    """Give for each text the cosines of all names, or attributes, that a search can find."""
    manifest, found = read_manifest(folder), [dict[str, float]() for _ in texts]
    for part in [shard_folder(folder, shard) for shard in manifest.shards] or [folder]:
        view = open_view(part)
        index = view.first.entity_vectors if kind == "entities" else view.first.attribute_vectors
        hits = index.search(view.encoder.encode(texts), max(1, len(index)))
        for of_text, names in zip(hits, found, strict=True):
            for row, cosine in of_text:
                name = (
                    plain_name(view.first.facts.name(row))
                    if kind == "entities"
                    else view.first.facts.attribute_name(row)
                )
                assert name not in names or names[name] == pytest.approx(cosine, abs=1e-6)
                names[name] = cosine
        view.close()
    return found


def assert_equal(whole: Path, sharded: Path, texts: Sequence[str]) -> None:
    one, other = read_manifest(whole), read_manifest(sharded)
    assert (other.counts, other.sources, other.encoder) == (one.counts, one.sources, one.encoder)
    assert held(sharded) == held(whole)
    for name in ("rejects.jsonl", "encoder/model.safetensors", "encoder/tokenizer.json"):
        assert (sharded / name).read_bytes() == (whole / name).read_bytes()
    for kind in ("entities", "attributes"):
        for expected, found in zip(similar(whole, kind, texts), similar(sharded, kind, texts), strict=True):
            assert found == pytest.approx(expected, abs=1e-6)
    check = check_index(sharded)
    assert (check.damage, check.triples) == ((), one.counts.triples)


def both(sources: Sequence[Source], folder: Path, shards: int, **options: Any) -> tuple[Path, Path]:
    of_both = {name: options[name] for name in ("options", "encoder") if name in options}
    build_index(sources, folder / "whole", progress=False, **of_both)
    ShardedBuild(shards, progress=False, **options).run(sources, folder / "sharded")
    assert sorted(path.name for path in folder.iterdir() if path.name != "kb") == ["sharded", "whole"]
    return folder / "whole", folder / "sharded"


@pytest.mark.parametrize("shards", [1, 2, 5])
def test_all_is_there_under_the_same_numbers(tmp_path: Path, shards: int) -> None:
    folder = tmp_path / "name=[it's]*"  # no patterns, and no column
    folder.mkdir()
    whole, sharded = both([ROWS], folder, shards)
    assert_equal(whole, sharded, ["坛经", "慧能", "JAVA", "作者"])
    manifest = read_manifest(sharded)
    assert list(manifest.shards) == ["0000", "0001", "0002", "0003", "0004"][:shards]
    assert manifest.options == {"seed": 0, "shards": shards}
    assert {name.partition("/")[0] for name in manifest.files} == {"encoder", "numbering", "rejects.jsonl"}


@pytest.mark.parametrize(("flat", "scan"), [(20_000, 300_000), (4, 300_000), (4, 5)], ids=["flat", "bytes", "lists"])
def test_vectors_of_every_kind_are_those_of_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flat: int, scan: int
) -> None:
    monkeypatch.setattr(kb_index.vectors, "FLAT_ROWS", flat)
    monkeypatch.setattr(kb_index.vectors, "SCAN_ROWS", scan)
    assert_equal(*both([sample_triples()], tmp_path, 3), ["法国", "慧能", "首 都"])


def test_an_encoder_that_the_user_names_is_taken_in(tmp_path: Path) -> None:
    build_index([sample_triples()], tmp_path / "kb", progress=False)
    whole, sharded = both([ROWS], tmp_path, 3, encoder=str(tmp_path / "kb" / "encoder"))
    assert_equal(whole, sharded, ["坛经", "慧能"])
    assert read_manifest(sharded).encoder.name == str(tmp_path / "kb" / "encoder")


def test_a_name_is_encoded_as_its_first_entity_writes_it(tmp_path: Path) -> None:
    found: list[str] = []

    class Looking(LocalEngine):
        def run(self, function: Any, tasks: Any, on_done: Any, gpus: float | None = 0) -> None:
            if function is add_vectors:
                paths = [str(Work(task.folder).names(task.shard)) for task in tasks]
                found.extend(
                    text for (text,) in duckdb.sql("SELECT text FROM read_parquet($1)", params=[paths]).fetchall()
                )
            super().run(function, tasks, on_done)

    rows = [
        ("Java (语言)", "作者", "James Gosling"),
        *((f"JAVA ({i})", "首都", "雅加达") for i in range(9)),
        ("java", "是", "岛"),
    ]
    ShardedBuild(5, Looking(), progress=False).run([rows], tmp_path / "index")
    assert len(found) > 2
    assert set(found) == {"Java"}


SUBJECTS = ["坛经", "坛经(电影)", "《坛经》", "惠 能", "Java", "java", "JAVA (岛)", "鳞", "六祖", "六祖(人)"]
TRIPLES = st.tuples(
    st.sampled_from(SUBJECTS),
    st.sampled_from(["别名", "别 名", "作者", "作 者[1]", "朝代"]),
    st.sampled_from(["六祖、惠能", "惠能", "唐", "Java", "Platform Sutra", "x" * 60]),
)
RECORDS = st.builds(
    lambda t, more: {"subject": t[0], "predicate": t[1], "object": t[2], **more},
    TRIPLES,
    st.sampled_from([{}, {"source": "a"}, {"source": "b", "date": "2020"}]),
)


@pytest.mark.slow
@settings(max_examples=8, deadline=None)
@given(st.lists(RECORDS, min_size=1, max_size=30), st.integers(1, 5))
def test_any_triples_in_any_number_of_shards(records: list[dict[str, str]], shards: int) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "kb"
        path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\r\n" for r in records), encoding="utf-8")
        options = ReadOptions("jsonl", memory_limit="500MB")
        assert_equal(*both([path], Path(folder), shards, options=options), ["坛经", "六组", "作者"])


class Failing(LocalEngine):
    """Fails after so many tasks, and counts those it did by the name of their function."""

    def __init__(self, after: int = 1000, error: BaseException | None = None) -> None:
        self.left, self.done, self.error = after, list[str](), error or RuntimeError("lost")

    def run(self, function: Callable[[Any], None], tasks: Sequence[Any], on_done: Any, gpus: float = 0) -> None:
        for task in tasks:
            if not self.left:
                raise self.error
            self.left -= 1
            super().run(function, [task], on_done)
            self.done.append(function.__name__)


def many_lines(path: Path) -> Path:
    lines = (f"甲{i % 300}乙 ||| 作者{i % 7} ||| 丙{i}\n" for i in range(3000))
    path.write_text("".join(lines), encoding="utf-8")
    return path


def test_a_build_goes_on_with_what_is_finished(tmp_path: Path) -> None:
    source, out = many_lines(tmp_path / "kb"), tmp_path / "index"
    steps = ["read_chunk"] * 3 + ["build_shard"] * 4 + ["add_vectors"] * 4

    def build(engine: Failing, **options: Any) -> Failing:
        ShardedBuild(4, engine, chunk_bytes=40_000, progress=False, **options).run([source], out)
        return engine

    done: list[str] = []
    for after in (2, 3, 5):
        engine = Failing(after, KeyboardInterrupt() if after == 3 else None)
        with pytest.raises(type(engine.error)):
            build(engine)
        done += engine.done
        assert not out.exists()
    assert done == steps[:10]
    assert build(Failing(), seed=1).done == steps  # another build, which removes what the first one left
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index", "kb"]
    assert build(Failing()).done == steps
    build_index([source], tmp_path / "whole", progress=False)
    assert_equal(tmp_path / "whole", out, ["甲1乙"])


def test_a_source_that_is_wrong_leaves_nothing(tmp_path: Path) -> None:
    source = many_lines(tmp_path / "kb")
    (tmp_path / "bad").write_text("半行\n" * 10, encoding="utf-8")
    with pytest.raises(TripleFileError, match="10 of the first 10 lines"):
        ShardedBuild(2, chunk_bytes=40_000, progress=False).run([source, tmp_path / "bad"], tmp_path / "index")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad", "kb"]


KILLED = """
import os, signal, sys
from pathlib import Path
from kb_index.shards.build import ShardedBuild
from kb_index.shards.engines import LocalEngine

class Killed(LocalEngine):
    def run(self, function, tasks, on_done, gpus=0):
        global left
        for task in tasks:
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1
            super().run(function, [task], on_done)
            print(function.__name__, flush=True)

left = int(sys.argv[1])
ShardedBuild(2, Killed(), progress=False).run([sys.argv[2]], Path(sys.argv[3]))
"""


@pytest.mark.slow
def test_a_build_that_was_killed_goes_on(tmp_path: Path) -> None:
    source = many_lines(tmp_path / "kb")
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = []
    for after, ended in ((2, -signal.SIGKILL), (2, -signal.SIGKILL), (9, 0)):
        program = [sys.executable, "-c", KILLED, str(after), str(source), str(tmp_path / "index")]
        run = subprocess.run(program, env=environment, capture_output=True, text=True, timeout=120, check=False)
        assert run.returncode == ended, run.stderr
        done.append(run.stdout.split())
    assert done == [["read_chunk", "build_shard"], ["build_shard", "add_vectors"], ["add_vectors"]]
    build_index([source], tmp_path / "whole", progress=False)
    assert_equal(tmp_path / "whole", tmp_path / "index", ["甲1乙"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index", "kb", "whole"]


def test_an_index_in_shards_cannot_be_changed(tmp_path: Path) -> None:
    ShardedBuild(2, progress=False).run([ROWS], tmp_path / "kb")
    before = read_manifest(tmp_path / "kb")
    message = "in 2 shards, which cannot be changed; build it again from all its sources"
    with pytest.raises(InputError, match=message):
        update_index([ROWS], tmp_path / "kb", progress=False)
    with pytest.raises(InputError, match=message):
        delete_triples(tmp_path / "kb", subjects=["坛经"], progress=False)
    assert read_manifest(tmp_path / "kb") == before


def test_the_doctor_reads_all_shards(tmp_path: Path) -> None:
    out = tmp_path / "kb"
    ShardedBuild(2, progress=False).run([ROWS], out)
    file, manifest = out / "shards" / "0001" / "names.marisa", out / "shards" / "0000" / "manifest.json"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    (out / "shards" / "0001" / "more").touch()
    expected = [
        ("shards/0001/names.marisa", "has other content than was written"),
        ("shards/0001/more", "is no file of this index; remove it"),
    ]
    assert list(check_index(out).damage) == expected
    manifest.write_text(manifest.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert list(check_index(out).damage) == [
        ("shards/0000/manifest.json", "is missing, or is not the one that was built"),
        *expected,
    ]


def test_the_command_line(tmp_path: Path) -> None:
    source, out = many_lines(tmp_path / "kb"), str(tmp_path / "index")

    def run(*arguments: str) -> tuple[int, str]:
        ended = CliRunner().invoke(main, ["index", *arguments])
        return ended.exit_code, ended.output

    status, text = run(str(source), "--out", out, "--shards", "3")
    assert (status, text.partition("\n")[0]) == (
        0,
        f"{out}: 3,000 triples of 300 entities, 7 attributes, 300 aliases in 3 shards",
    )
    assert "--engine ray needs --shards" in run(str(source), "--out", out, "--engine", "ray")[1]
    assert "--shards is for a new index" in run(str(source), "--out", out, "--shards", "2", "--update")[1]
    status, text = run(str(source), "--out", out, "--update")
    assert (status, "in 3 shards, which cannot be changed" in text) == (1, True)
    assert len(read_manifest(Path(out)).shards) == 3
    status, text = run(str(source), "--out", out)
    assert (status, read_manifest(Path(out)).shards) == (0, {})


def test_the_same_build_is_not_run_twice_at_once(tmp_path: Path) -> None:
    source = many_lines(tmp_path / "kb")

    class Again(LocalEngine):
        def run(self, function: Any, tasks: Any, on_done: Any, gpus: float = 0) -> None:
            with pytest.raises(IndexFolderError, match="the same command is building it already"):
                ShardedBuild(2, progress=False).run([source], tmp_path / "index")
            super().run(function, tasks, on_done)

    manifest = ShardedBuild(2, Again(), progress=False).run([source], tmp_path / "index")
    assert asdict(manifest.counts)["entities"] == 300
    assert list(chain(tmp_path.glob(".*"))) == []
