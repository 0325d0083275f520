"""Whatever is wrong, one clear line, no half-built index, and the old one as it was."""

import json
import sys
from pathlib import Path

import duckdb
import pytest

from kb_index import KnowledgeBase, ReadOptions, build_index
from kb_index.errors import IndexFolderError, InputError, MissingExtraError, ModelError, StorageError, TripleFileError

GOOD = "坛经 ||| 作者 ||| 惠能\n"


@pytest.fixture
def index(tmp_path: Path) -> Path:
    return build(tmp_path, GOOD)


def build(folder: Path, content: str | bytes, name: str = "kb") -> Path:
    source = folder / "triples.kb"
    source.write_bytes(content if isinstance(content, bytes) else content.encode())
    build_index([source], folder / name, progress=False)
    return folder / name


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"\x00\x01\x02", "binary"),
        (b"a ||| b ||| \xff\n", "not UTF-8"),
        (b"\n\n", "nothing but blank lines"),
        (b"a line\n" * 10, "10 of the first 10 lines are no triples"),
    ],
)
def test_a_bad_file_leaves_the_old_index_and_nothing_else(index, tmp_path, content, message):
    with pytest.raises(TripleFileError, match=message) as caught:
        build(tmp_path, content)
    assert "\n" not in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kb", "triples.kb"]
    with KnowledgeBase.open(index) as kb:
        assert kb.triples_of([0])[0].object == "惠能"


def test_a_bad_file_among_good_ones_is_named(tmp_path):
    (tmp_path / "good.kb").write_text(GOOD)
    with pytest.raises(TripleFileError, match=r"missing\.kb: no such file"):
        build_index([tmp_path / "good.kb", tmp_path / "missing.kb"], tmp_path / "kb", progress=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["good.kb"]


def test_no_file_at_all(tmp_path):
    with pytest.raises(InputError, match="no triple file was given"):
        build_index([], tmp_path / "kb", progress=False)


def test_a_half_written_last_line_is_a_reject(tmp_path):
    with KnowledgeBase.open(build(tmp_path, GOOD * 2 + "坛经 ||| 朝")) as kb:
        counts = kb.manifest.counts
    assert (counts.lines, counts.triples, counts.duplicates, counts.rejected) == (3, 1, 1, 1)


def test_a_folder_with_other_things_is_not_overwritten(tmp_path):
    (tmp_path / "kb").mkdir()
    (tmp_path / "kb" / "mine.txt").write_text("mine")
    with pytest.raises(IndexFolderError, match="no index; it is left as it is, choose another --out"):
        build(tmp_path, GOOD)
    assert (tmp_path / "kb" / "mine.txt").read_text() == "mine"


def test_a_path_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="cannot be written"):
        build(tmp_path, GOOD, name="file/kb")


def test_an_encoder_that_cannot_be_loaded_stops_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    (tmp_path / "encoder").mkdir()
    (tmp_path / "triples.kb").write_text(GOOD)
    with pytest.raises(MissingExtraError):
        build_index([tmp_path / "triples.kb"], tmp_path / "kb", encoder=str(tmp_path / "encoder"), progress=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["encoder", "triples.kb"]


@pytest.mark.parametrize("n_lines", [10, 20_000], ids=["in the store", "before the store"])
def test_a_full_disk_is_one_line_and_leaves_the_old_index(index, tmp_path, run_with_small_files, n_lines):
    (tmp_path / "big.kb").write_text("".join(f"实体{i} ||| 属性 ||| 值{i}\n" for i in range(n_lines)), encoding="utf-8")
    program = (
        "import sys; from pathlib import Path; from kb_index import build_index\n"
        "from kb_index.errors import StorageError\n"
        "try: build_index([Path('big.kb')], Path('kb'), progress=False)\n"
        "except StorageError as error: sys.exit(str(error))"
    )
    run = run_with_small_files(program, folder=tmp_path, file_bytes=300_000)
    assert run.stderr == "kb: the disk is full or a size limit was met; free space, then run again\n"
    assert run.returncode == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["big.kb", "kb", "triples.kb"]
    with KnowledgeBase.open(index) as kb:
        assert kb.triples_of([0])[0].object == "惠能"


@pytest.mark.parametrize("name", ["kb.duckdb", "names.marisa"])
def test_a_damaged_index_leaves_no_connection_open(index, name, monkeypatch):
    connections = []
    connect = duckdb.connect

    def recording(*args, **kwargs):
        connections.append(connect(*args, **kwargs))
        return connections[-1]

    monkeypatch.setattr(duckdb, "connect", recording)
    (index / name).write_bytes(b"\xa5" * (index / name).stat().st_size)
    with pytest.raises(IndexFolderError):
        KnowledgeBase.open(index)
    for connection in connections:
        with pytest.raises(duckdb.ConnectionException, match="closed"):
            connection.execute("SELECT 1")


def test_folders_that_are_no_index(tmp_path):
    with pytest.raises(IndexFolderError, match="no such folder"):
        KnowledgeBase.open(tmp_path / "missing")
    with pytest.raises(IndexFolderError, match=r"no manifest\.json, so no index"):
        KnowledgeBase.open(str(tmp_path))


def test_an_index_of_another_version(index):
    manifest = json.loads((index / "manifest.json").read_text())
    (index / "manifest.json").write_text(json.dumps(manifest | {"schema_version": 0}))
    with pytest.raises(IndexFolderError, match="schema version 0, expected 3; build it again"):
        KnowledgeBase.open(index)


@pytest.mark.parametrize("name", ["kb.duckdb", "names.marisa", "entities.faiss", "encoder/model.safetensors"])
def test_missing_cut_and_scrambled_files(index, name):
    path = index / name
    content = path.read_bytes()
    path.write_bytes(b"\xa5" * len(content))
    with pytest.raises((IndexFolderError, ModelError)) as caught, KnowledgeBase.open(index) as kb:
        kb.similar_entities(["坛经"], 1)
    assert "\n" not in str(caught.value)
    path.write_bytes(content[:-1])
    with pytest.raises(IndexFolderError, match=f"{name} has {len(content) - 1} bytes, expected {len(content)}"):
        KnowledgeBase.open(index)
    path.unlink()
    with pytest.raises(IndexFolderError, match=f"{name} is missing"):
        KnowledgeBase.open(index)


@pytest.mark.parametrize(
    ("limit", "message"), [("much", "no size; expected one such as 3GB"), ("-1", "no size"), ("1MB", "too little")]
)
def test_a_memory_limit_that_cannot_be_kept(tmp_path, limit, message):
    with pytest.raises(InputError, match=message):
        build_index(
            [[("坛经", "作者", "惠能")]], tmp_path / "kb", options=ReadOptions(memory_limit=limit), progress=False
        )
    assert list(tmp_path.iterdir()) == []
