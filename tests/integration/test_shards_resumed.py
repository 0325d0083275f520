"""A build in shards goes on with what is whole, of the same build, and seen; what it is told to forget is nowhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from shutil import copytree
from typing import Any
from urllib.parse import urlsplit

import pytest

from kb_index import KnowledgeBase, build_index, update_index
from kb_index.errors import InputError, ModelError, StorageError, TripleFileError
from kb_index.manifest import read_manifest
from kb_index.readers import remote
from kb_index.shards import work
from kb_index.shards.build import ShardedBuild
from kb_index.shards.engines import LocalEngine
from kb_index.shards.reading import read_chunk
from kb_index.shards.shard import add_vectors, build_shard
from kb_index.shards.work import Work


class Stopped(LocalEngine):
    """Is stopped after so many tasks, or leaves out the first task of a function: what another machine did, perhaps."""

    def __init__(self, after: int = 1000, left_out: object = None, error: Exception | None = None) -> None:
        self.left, self.left_out, self.error = after, left_out, error or RuntimeError("lost")

    def run(self, function: Callable[[Any], None], tasks: Sequence[Any], on_done: Any, gpus: float | None = 0) -> None:
        for task in tasks[1:] if function is self.left_out else tasks:
            if not self.left:
                raise self.error
            self.left -= 1
            super().run(function, [task], on_done, gpus)


def three_files(folder: Path) -> list[Path]:
    for name in "abc":
        lines = (f"{name}甲{i % 50} ||| 作者 ||| 丙{i}\n" for i in range(100))
        (folder / f"{name}.kb").write_text("".join(lines), encoding="utf-8")
    return sorted(folder.glob("*.kb"))


def stopped(build: ShardedBuild, sources: Sequence[Any], out: Path) -> Path:
    """Begin a build that is stopped, and give the folder of what it left."""
    with pytest.raises(RuntimeError, match="lost"):
        build.run(sources, out)
    (left,) = out.parent.glob(".index.sharded-*")
    return left


def test_what_a_reader_left_that_was_killed_counts_for_nothing(tmp_path: Path) -> None:
    sources, out = three_files(tmp_path), tmp_path / "index"
    left = stopped(ShardedBuild(2, Stopped(3), chunk_bytes=1, progress=False), sources, out)
    chunks = left / ".work" / "chunks"
    assert len(list(chunks.iterdir())) == 3
    copytree(chunks / "0001", chunks / ".0001.part-dead")
    (chunks / ".0001.part-dead" / "report.json").unlink()
    counts = ShardedBuild(2, chunk_bytes=1, progress=False).run(sources, out).counts
    assert (counts.lines, counts.triples, counts.duplicates) == (300, 300, 0)


def test_a_build_of_other_chunks_is_another_build(tmp_path: Path) -> None:
    sources, out = three_files(tmp_path), tmp_path / "index"
    size = max(source.stat().st_size for source in sources)
    stopped(ShardedBuild(2, Stopped(2), chunk_bytes=size, progress=False), sources, out)
    counts = ShardedBuild(2, chunk_bytes=3 * size, progress=False).run(sources, out).counts
    assert (counts.lines, counts.triples) == (300, 300)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.kb", "b.kb", "c.kb", "index"]


@pytest.mark.parametrize("function", [read_chunk, build_shard, add_vectors])
def test_what_other_machines_did_elsewhere_is_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: Any
) -> None:
    monkeypatch.setattr(work, "SEEN_SECONDS", 0.0, raising=False)
    sources, out = three_files(tmp_path), tmp_path / "index"
    with pytest.raises(StorageError, match="not seen here; all machines must see the folder of --out under the same"):
        ShardedBuild(2, Stopped(left_out=function), chunk_bytes=1, progress=False).run(sources, out)
    assert not out.exists()
    assert ShardedBuild(2, chunk_bytes=1, progress=False).run(sources, out).counts.triples == 300


def test_a_machine_that_does_not_see_a_chunk_builds_no_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "SEEN_SECONDS", 0.0, raising=False)

    class Blind(LocalEngine):
        def run(self, function: Any, tasks: Any, on_done: Any, gpus: float | None = 0) -> None:
            if function is build_shard:
                chunk = Work(tasks[0].folder).chunk(1)
                chunk.rename(chunk.with_name("elsewhere"))
            super().run(function, tasks, on_done, gpus)
            if function is build_shard:
                chunk.with_name("elsewhere").rename(chunk)

    with pytest.raises(StorageError, match="not seen here"):
        ShardedBuild(2, Blind(), chunk_bytes=1, progress=False).run(three_files(tmp_path), tmp_path / "index")


def test_that_a_build_goes_on_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sources, out = three_files(tmp_path), tmp_path / "index"
    build = ShardedBuild(4, Stopped(6), chunk_bytes=1, progress=False)
    left = stopped(build, sources, out)
    assert caplog.messages == [f"'{left}' keeps what is done; the same command goes on with it"]
    caplog.clear()
    ShardedBuild(4, chunk_bytes=1, progress=False).run(sources, out)
    assert caplog.messages == ["goes on with the build that was stopped: 3 of 3 chunks and 3 of 4 shards are there"]


@pytest.mark.parametrize(
    ("error", "is_kept"),
    [
        (InputError("memory limit '1MB': too little for this"), True),
        (StorageError("s3://bucket/kb: cannot be read"), True),
        (TripleFileError("kb: damaged"), False),
    ],
)
def test_what_is_done_is_kept_but_for_a_source_that_is_wrong(tmp_path: Path, error: Exception, is_kept: bool) -> None:
    with pytest.raises(type(error)):
        ShardedBuild(2, Stopped(1, error=error), chunk_bytes=1, progress=False).run(
            three_files(tmp_path), tmp_path / "index"
        )
    assert len(list(tmp_path.glob(".index.sharded-*/.work/chunks/0000"))) == is_kept


def test_an_encoder_that_is_none_is_said_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_encoder(name: str) -> None:
        raise ModelError(name)

    monkeypatch.setattr("kb_index.shards.build.load_encoder", no_encoder)
    with pytest.raises(ModelError, match="typo"):
        ShardedBuild(2, Stopped(0), encoder="typo", progress=False).run(three_files(tmp_path), tmp_path / "index")
    assert list(tmp_path.glob(".*")) == []


LINES = "坛经 ||| 作者 ||| 惠能\n半行\n"
GRAPH = '_:b <http://kb/p> "x" .\n<http://kb/1> <http://kb/p> _:b .\nno triple\n'
KEYS = ("KEY123", "SECRET456", "TOKEN789", "KEY999", "TOKEN999")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose files `s3://KEY:SECRET@bucket/NAME?token=TOKEN` names, with these keys only."""
    fs = pytest.importorskip("pyarrow.fs")
    folder = tmp_path / "store"
    folder.mkdir()

    def located(url: str) -> tuple[Any, str]:
        parts = urlsplit(url)
        assert (parts.username, parts.password, parts.query) in (
            ("KEY123", "SECRET456", "token=TOKEN789"),
            ("KEY999", "SECRET456", "token=TOKEN999"),
        )
        return fs.LocalFileSystem(), str(folder / parts.path.lstrip("/"))

    monkeypatch.setattr(remote, "_located", located)
    return folder


def url(name: str) -> str:
    return f"s3://KEY123:SECRET456@bucket/{name}?token=TOKEN789"


def assert_nowhere(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            assert not any(key.encode() in path.read_bytes() for key in KEYS), path


def test_keys_in_urls_are_in_no_file_of_an_index(store: Path, tmp_path: Path) -> None:
    (store / "a.nlpcc").write_text(LINES * 3 + "坛经 ||| 朝代 ||| 唐\n" * 2000, encoding="utf-8")
    (store / "b.nt").write_text(GRAPH, encoding="utf-8")
    sources, out = [url("a.nlpcc"), url("b.nt")], tmp_path / "index"
    build_index(sources, tmp_path / "whole", progress=False)
    left = stopped(ShardedBuild(2, Stopped(4), chunk_bytes=20_000, progress=False), sources, out)
    assert_nowhere(left)
    again = [source.replace("KEY123", "KEY999").replace("TOKEN789", "TOKEN999") for source in sources]
    ShardedBuild(2, chunk_bytes=20_000, progress=False).run(again, out)
    assert left.exists() is False
    update_index([url("a.nlpcc")], tmp_path / "whole", progress=False)
    for index in (tmp_path / "whole", out):
        assert_nowhere(index)
        assert [source.path for source in read_manifest(index).sources] == ["s3://bucket/a.nlpcc", "s3://bucket/b.nt"]
        with KnowledgeBase.open(index) as kb:
            keys = {entity.key for entity in kb.entities(range(4))}
        assert keys == {None, "_:b@s3://bucket/b.nt", "http://kb/1"}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.kb", b"", "s3://bucket/a.kb: empty"),
        ("a.kb", b"\xff\xfea", "s3://bucket/a.kb: UTF-16"),
        ("a.kb", "半行\n".encode() * 10, "s3://bucket/a.kb: 10 of the first 10 lines are no triples"),
        ("b.kb", b"", "s3://bucket/a.kb: no such file"),
    ],
)
def test_keys_in_urls_are_in_no_error(store: Path, tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (store / name).write_bytes(content)
    with pytest.raises(TripleFileError, match=f"^{said}"):
        ShardedBuild(2, progress=False).run([url("a.kb")], tmp_path / "index")
    if name == "a.kb":
        with pytest.raises(TripleFileError, match=f"^{said}"):
            build_index([url("a.kb")], tmp_path / "index", progress=False)
