"""Damage of any kind is found, by opening an index where that is quick and by the doctor in every file."""

import shutil
from pathlib import Path

import pytest

from kb_index import KnowledgeBase, build_index, update_index
from kb_index.check import Damage, check_index
from kb_index.errors import IndexFolderError
from kb_index.manifest import describe_file
from kbqa_agent.doctor import examine

ROWS = [
    (f"书{i:04}", predicate, f"{predicate}{i % 700}") for i in range(2000) for predicate in ("作者", "页数", "朝代")
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """An index of two layers, and next to it another of the same shape."""
    folder = tmp_path_factory.mktemp("whole")
    for name, author in (("kb", "惠能"), ("other", "神秀")):
        build_index([ROWS, [("坛经", "作者", author)]], folder / name, progress=False)
        update_index([[("新书", "作者", author)]], folder / name, progress=False)
    return folder / "kb"


@pytest.fixture
def index(whole, tmp_path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "kb"))


def files(index: Path) -> list[str]:
    names = (path.relative_to(index).as_posix() for path in sorted(index.rglob("*")) if path.is_file())
    return [name for name in names if name != "manifest.json"]


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_whole_index_is_whole(index):
    report = examine(index)
    assert report.is_sound
    assert report.index.triples == 6002
    assert report.index.damage == ()
    assert "delta/kb.duckdb" in files(index)
    assert report.index.files == len(files(index))


def test_one_flipped_byte_in_any_file_is_found(index):
    for name in filter(lambda name: (index / name).stat().st_size, files(index)):
        content = (index / name).read_bytes()
        flip(index / name)
        assert check_index(index).damage == (Damage(name, "has other content than was written"),)
        (index / name).write_bytes(content)
    assert examine(index).is_sound


def test_one_flipped_byte_in_the_manifest_is_found_by_opening(index):
    content = (index / "manifest.json").read_bytes()
    for position in range(0, len(content), 97):
        changed = content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :]
        (index / "manifest.json").write_bytes(changed)
        if chr(content[position]).isspace():  # is not always part of what the file says
            continue
        with pytest.raises(IndexFolderError) as caught:
            KnowledgeBase.open(index)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("how", ["cut", "missing", "longer"])
def test_cut_missing_and_longer_files_are_found_by_opening_and_listed_together(index, how):
    for name in ("names.marisa", "delta/facts/objects.txt"):
        if how == "missing":
            (index / name).unlink()
        else:
            content = (index / name).read_bytes()
            (index / name).write_bytes(content[:-1] if how == "cut" else content + b"x")
    with pytest.raises(IndexFolderError, match=r"is missing; build it again|bytes, expected \d+; build it again"):
        KnowledgeBase.open(index)
    report = examine(index)
    assert not report.is_sound
    assert {damage.file for damage in report.index.damage} == {"names.marisa", "delta/facts/objects.txt"}
    lines = list(report.lines())
    assert len(lines) == 3
    assert lines[-1] == f"{index}: damaged; build it again or copy the whole folder"


def test_the_file_of_another_index_is_found(whole, index):
    changed = [
        name for name in files(index) if (index / name).read_bytes() != (whole.parent / "other" / name).read_bytes()
    ]
    assert {"kb.duckdb", "facts/objects.txt", "delta/kb.duckdb"} <= set(changed)
    for name in changed:
        shutil.copyfile(whole.parent / "other" / name, index / name)
        assert [damage.file for damage in check_index(index).damage] == [name]
        with pytest.raises(IndexFolderError, match=f"{name} (is not the file that was built|has .* bytes)"):
            KnowledgeBase.open(index)
        shutil.copyfile(whole / name, index / name)


def test_a_file_that_the_index_does_not_have_is_listed_and_a_ranker_is_not(index):
    (index / "ranker").mkdir()
    (index / "ranker" / "ranker.json").touch()
    (index / "facts" / "mine.txt").touch()
    assert check_index(index).damage == (Damage("facts/mine.txt", "is no file of this index; remove it"),)


def test_an_index_that_is_replaced_while_it_is_read_is_not_damaged(index, monkeypatch):
    read = []

    def replace_first(path):
        if not read:
            read.append(path)
            update_index([[("新书", "页数", "300")]], index, progress=False)
        return describe_file(path)

    monkeypatch.setattr("kb_index.check.describe_file", replace_first)
    assert check_index(index).damage == ()
    assert read


FULL_DISK = """
import sys
from pathlib import Path
from kb_index import delete_triples, update_index
from kb_index.errors import StorageError
rows = [(f"书{i:04}", "作者", "作者 " * 20 + str(i)) for i in range(2000)]
try:
    if sys.argv[1] == "update":
        update_index([rows], Path("kb"), progress=False)
    else:
        delete_triples(Path("kb"), sources=[[("书0000", "作者", "作者0")]], progress=False)
except StorageError as error:
    sys.exit(str(error))
"""


@pytest.mark.parametrize("change", ["update", "delete"])
def test_a_full_disk_during_a_change_is_one_line_and_leaves_the_old_index(index, run_with_small_files, change):
    before = {name: (index / name).read_bytes() for name in [*files(index), "manifest.json"]}
    run = run_with_small_files(FULL_DISK, change, folder=index.parent, file_bytes=100_000)
    assert run.stderr == "kb: the disk is full or a size limit was met; free space, then run again\n"
    assert run.returncode == 1
    assert [path.name for path in index.parent.iterdir()] == ["kb"]
    assert {name: (index / name).read_bytes() for name in [*files(index), "manifest.json"]} == before
