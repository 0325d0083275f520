"""A new index takes the old one's place all at once, or not at all."""

import errno
import fcntl
import os
import time
from pathlib import Path

import pytest

from kb_index.errors import IndexFolderError, StorageError, TripleFileError
from kb_index.swap import LOCK_FILE, replaced_folder, storage_errors


def make_index(folder: Path, content: str) -> Path:
    folder.mkdir()
    (folder / "manifest.json").write_text(content)
    return folder


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def build(out: Path, content: str) -> None:
    with replaced_folder(out) as folder:
        (folder / "manifest.json").write_text(content)


def test_a_new_folder_appears_at_the_end(tmp_path):
    out = tmp_path / "deep" / "kb"
    with replaced_folder(out) as folder:
        assert not out.exists()
        assert folder.parent == out.parent
        (folder / "manifest.json").write_text("new")
    assert listing(out) == ["manifest.json"]
    assert listing(tmp_path / "deep") == ["kb"]


def test_an_old_index_is_replaced_with_all_that_was_in_it(tmp_path):
    out = make_index(tmp_path / "kb", "old")
    (out / "ranker").mkdir()
    build(out, "new")
    assert listing(out) == ["manifest.json"]
    assert (out / "manifest.json").read_text() == "new"
    assert listing(tmp_path) == ["kb"]


def build_half(out: Path, error: BaseException) -> None:
    with replaced_folder(out) as folder:
        (folder / "half").write_text("half")
        raise error


@pytest.mark.parametrize("error", [ValueError("bad"), KeyboardInterrupt()])
def test_a_failed_build_leaves_the_old_index_and_nothing_else(tmp_path, error):
    out = make_index(tmp_path / "kb", "old")
    with pytest.raises(type(error)):
        build_half(out, error)
    assert listing(tmp_path) == ["kb"]
    assert (out / "manifest.json").read_text() == "old"


def test_a_folder_that_is_no_index_is_left_alone(tmp_path):
    out = tmp_path / "thesis"
    out.mkdir()
    (out / "thesis.tex").write_text("years of work")
    with pytest.raises(IndexFolderError, match="no index; it is left as it is"):
        build(out, "new")
    assert listing(out) == ["thesis.tex"]
    (tmp_path / "file").write_text("x")
    with pytest.raises(IndexFolderError, match="no index"):
        build(tmp_path / "file", "new")


def test_an_empty_folder_may_be_filled(tmp_path):
    (tmp_path / "kb").mkdir()
    build(tmp_path / "kb", "new")
    assert listing(tmp_path / "kb") == ["manifest.json"]


def test_the_next_build_removes_what_a_killed_one_left(tmp_path):
    dead = tmp_path / ".kb.building-dead"
    dead.mkdir()
    (dead / LOCK_FILE).touch()
    unlocked = tmp_path / ".kb.building-old"
    unlocked.mkdir()
    os.utime(unlocked, (time.time() - 3600,) * 2)
    other = tmp_path / ".kb2.building-dead"
    other.mkdir()
    build(tmp_path / "kb", "new")
    assert listing(tmp_path) == [".kb2.building-dead", "kb"]


def test_a_running_build_is_left_alone(tmp_path):
    running = tmp_path / ".kb.building-running"
    running.mkdir()
    starting = tmp_path / ".kb.building-starting"
    starting.mkdir()
    with (running / LOCK_FILE).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        build(tmp_path / "kb", "new")
        assert listing(tmp_path) == [".kb.building-running", ".kb.building-starting", "kb"]


def test_an_old_index_moved_aside_by_a_killed_build_comes_back(tmp_path):
    make_index(tmp_path / ".kb.old-dead", "old")
    with pytest.raises(ValueError, match="bad"), replaced_folder(tmp_path / "kb"):
        raise ValueError("bad")
    assert (tmp_path / "kb" / "manifest.json").read_text() == "old"
    make_index(tmp_path / ".kb.old-dead", "older")
    build(tmp_path / "kb", "new")
    assert listing(tmp_path) == ["kb"]
    assert (tmp_path / "kb" / "manifest.json").read_text() == "new"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "kb: the disk is full or a size limit was met; free space"),
        (RuntimeError("IO Error: write failed: No space left on device"), "kb: the disk is full"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "kb: the disk is full"),
        (PermissionError(errno.EACCES, "Permission denied"), r"kb: cannot be written \(Permission denied\); choose"),
    ],
)
def test_storage_that_fails_is_one_line(error, message):
    with pytest.raises(StorageError, match=message), storage_errors(Path("kb")):
        raise error


def test_other_errors_stay_what_they_are():
    with pytest.raises(ZeroDivisionError), storage_errors(Path("kb")):
        raise ZeroDivisionError
    with pytest.raises(TripleFileError), storage_errors(Path("kb")):
        raise TripleFileError("mine")
