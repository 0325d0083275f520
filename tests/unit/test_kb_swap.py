"""A new index takes the old one's place all at once, or not at all."""

import errno
import fcntl
import os
import threading
from pathlib import Path

import pytest

from kb_index import atomic
from kb_index.errors import IndexFolderError
from kb_index.swap import LOCK_FILE, find_index, replaced_folder


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


def test_another_programs_manifest_makes_no_index(tmp_path):
    out = make_index(tmp_path / "web-page", '{"name": "a web page", "icons": []}')
    (out / "index.html").write_text("years of work")
    with pytest.raises(IndexFolderError, match="no index; it is left as it is"):
        build(out, "new")
    assert listing(out) == ["index.html", "manifest.json"]


def test_the_folder_one_is_in_stays(tmp_path, monkeypatch):
    out = make_index(tmp_path / "kb", "old")
    monkeypatch.chdir(out)
    with pytest.raises(IndexFolderError, match="the folder you are in, which cannot be replaced"):
        build(out, "new")
    assert listing(tmp_path) == ["kb"]
    assert (out / "manifest.json").read_text() == "old"


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
    other = tmp_path / ".kb2.building-dead"
    other.mkdir()
    build(tmp_path / "kb", "new")
    assert listing(tmp_path) == [".kb2.building-dead", "kb"]


def test_a_running_build_is_left_alone(tmp_path):
    running = tmp_path / ".kb.building-running"
    running.mkdir()
    with (running / LOCK_FILE).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        build(tmp_path / "kb", "new")
        assert listing(tmp_path) == [".kb.building-running", "kb"]


def test_an_old_index_moved_aside_by_a_killed_build_comes_back(tmp_path):
    make_index(tmp_path / ".kb.old-dead", "old")
    with pytest.raises(ValueError, match="bad"), replaced_folder(tmp_path / "kb"):
        raise ValueError("bad")
    assert (tmp_path / "kb" / "manifest.json").read_text() == "old"
    make_index(tmp_path / ".kb.old-dead", "older")
    build(tmp_path / "kb", "new")
    assert listing(tmp_path) == ["kb"]
    assert (tmp_path / "kb" / "manifest.json").read_text() == "new"


def two_renames(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system without a call that exchanges two paths."""
    monkeypatch.setattr(atomic, "exchange", lambda one, other: False)


def test_without_an_exchange_two_renames_replace_an_index(tmp_path, monkeypatch):
    two_renames(monkeypatch)
    out = make_index(tmp_path / "kb", "old")
    build(out, "new")
    assert (out / "manifest.json").read_text() == "new"
    assert listing(tmp_path) == ["kb"]


def test_there_is_an_index_at_every_moment_of_a_replacement(tmp_path, monkeypatch):
    out = make_index(tmp_path / "kb", "old")
    seen = set()
    for name in ("rename", "unlink", "rmdir", "fsync"):
        monkeypatch.setattr(os, name, watched(getattr(os, name), lambda: seen.add((out / "manifest.json").read_text())))
    build(out, "new")
    monkeypatch.undo()
    assert seen == {"old", "new"}


def watched(function, look):
    def call(*args, **kwargs):
        look()
        result = function(*args, **kwargs)
        look()
        return result

    return call


def test_an_index_left_aside_is_found_and_put_back(tmp_path):
    make_index(tmp_path / ".kb.old-dead", "old")
    assert find_index(tmp_path / "kb") == tmp_path / "kb"
    assert listing(tmp_path) == ["kb"]


def test_an_index_left_aside_where_nothing_can_be_written_is_found_there(tmp_path, monkeypatch):
    make_index(tmp_path / ".kb.old-dead", "old")

    def refused(path: Path, target: Path) -> Path:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "rename", refused)
    assert find_index(tmp_path / "kb") == tmp_path / ".kb.old-dead"


def test_half_an_index_is_not_put_back(tmp_path):
    (tmp_path / ".kb.old-dead").mkdir()
    assert find_index(tmp_path / "kb") == tmp_path / "kb"
    assert listing(tmp_path) == [".kb.old-dead"]
    build(tmp_path / "kb", "new")
    assert listing(tmp_path) == ["kb"]


def test_no_other_build_cleans_up_between_the_two_renames(tmp_path, monkeypatch):
    two_renames(monkeypatch)
    out = make_index(tmp_path / "kb", "old")
    rename = Path.rename
    others = []

    def interrupted(path: Path, target: Path) -> Path:
        renamed = rename(path, target)
        if path == out and not others:  # the old index is aside, the new one not yet in place
            others.append(threading.Thread(target=build, args=(out, "newest")))
            others[0].start()
            others[0].join(0.2)
            assert not out.exists()
        return renamed

    monkeypatch.setattr(Path, "rename", interrupted)
    with replaced_folder(out) as folder:
        (folder / "manifest.json").write_text("new")
    monkeypatch.undo()
    others[0].join()
    assert (out / "manifest.json").read_text() == "newest"
    assert listing(tmp_path) == ["kb"]
