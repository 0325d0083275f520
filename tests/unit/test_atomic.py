"""Files and folders that appear whole or not at all, and what is said when they cannot."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from kb_index import atomic
from kb_index.atomic import filling_folder, replacing, replacing_folder, replacing_text, storage_errors
from kb_index.errors import StorageError, TripleFileError
from kb_index.exchange import exchange


def test_a_block_that_ends_well_replaces_the_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.txt"
    for content in ("一\n", "二\n"):
        with replacing_text(path) as stream:
            stream.write(content)
    assert path.read_bytes() == "二\n".encode()
    assert list(path.parent.iterdir()) == [path]


def test_a_block_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(ValueError, match="nine"), replacing_text(path) as stream:
        stream.writelines(str(int(number)) for number in ("1", "nine"))
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    with (
        pytest.raises(StorageError, match=r"file\.txt: the disk is full or a size limit was met; free space"),
        replacing(tmp_path / "file.txt"),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_other_errors_pass_through(tmp_path: Path) -> None:
    with pytest.raises(ConnectionRefusedError), replacing(tmp_path / "file.txt"):
        raise ConnectionRefusedError(errno.ECONNREFUSED, "refused")


def test_text_that_utf8_cannot_hold_becomes_a_question_mark(tmp_path: Path) -> None:
    with replacing_text(tmp_path / "file.txt") as stream:
        stream.write("\ud800")
    assert (tmp_path / "file.txt").read_text() == "?"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "kb: the disk is full or a size limit was met; free space"),
        (RuntimeError("IO Error: write failed: No space left on device"), "kb: the disk is full"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "kb: the disk is full"),
        (RuntimeError("Error while serializing: I/O error: File too large (os error 27)"), "kb: the disk is full"),
        (RuntimeError("Cannot write binary data to b.txt, wrote 0 of 352745 bytes"), "kb: the disk is full"),
        (RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 576 vs 534"), "kb: the disk is full"),
        (PermissionError(errno.EACCES, "Permission denied"), r"kb: cannot be written \(Permission denied\); choose"),
        (FileExistsError(errno.EEXIST, "File exists"), r"kb: cannot be written \(File exists\); choose another place"),
        (RuntimeError("Model file b.txt is not available for writes"), "kb: cannot be written"),
        (RuntimeError("Error while serializing: I/O error: Permission denied (os error 13)"), "kb: cannot be written"),
    ],
)
def test_storage_that_fails_is_one_line(error: Exception, message: str) -> None:
    with pytest.raises(StorageError, match=message), storage_errors(Path("kb")):
        raise error


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(ZeroDivisionError), storage_errors(Path("kb")):
        raise ZeroDivisionError
    with pytest.raises(TripleFileError), storage_errors(Path("kb")):
        raise TripleFileError("mine")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def replace_ranker(path: Path) -> None:
    with replacing_folder(path, holds="ranker.json") as folder:
        (folder / "ranker.json").write_text("new")


@pytest.mark.parametrize("old", [None, [], ["ranker.json", "booster.txt"]])
def test_a_folder_takes_the_place_of_none_of_an_empty_one_and_of_its_like(
    tmp_path: Path, old: list[str] | None
) -> None:
    path = tmp_path / "deep" / "ranker"
    if old is not None:
        path.mkdir(parents=True)
        for name in old:
            (path / name).write_text("old")
    replace_ranker(path)
    assert names(path) == ["ranker.json"]
    assert names(tmp_path / "deep") == ["ranker"]


def test_a_folder_with_other_things_and_a_file_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.tex").write_text("years of work")
    (tmp_path / "file").write_text("mine")
    for name in ("thesis", "file"):
        with pytest.raises(StorageError, match=f"{name}': there already, and without a ranker.json; it is left as it"):
            replace_ranker(tmp_path / name)
    assert names(tmp_path) == ["file", "thesis"]
    assert names(tmp_path / "thesis") == ["thesis.tex"]


def test_the_folder_one_is_in_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StorageError, match=r"^'\.': the folder you are in, which cannot be replaced"):
        replace_ranker(Path())
    assert list(tmp_path.iterdir()) == []


def test_a_block_that_fails_leaves_the_old_folder(tmp_path: Path) -> None:
    replace_ranker(tmp_path / "ranker")
    with pytest.raises(ValueError, match="nine"), replacing_folder(tmp_path / "ranker", holds="ranker.json"):
        int("nine")
    assert names(tmp_path) == ["ranker"]
    assert (tmp_path / "ranker" / "ranker.json").read_text() == "new"


def test_files_are_added_to_a_folder_all_at_once(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "metrics.jsonl").write_text("")
    with filling_folder(tmp_path / "out", ("adapter_config.json",)) as folder:
        (folder / "adapter_config.json").write_text("{}")
        (folder / "weights").write_text("1")
        assert names(tmp_path / "out") == ["metrics.jsonl"]
    assert names(tmp_path / "out") == ["adapter_config.json", "metrics.jsonl", "weights"]
    assert names(tmp_path) == ["out"]


def test_what_is_renamed_has_reached_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(fstat_kind(descriptor)))
    replace_ranker(tmp_path / "ranker")
    assert synced == ["file", "folder", "folder"]
    synced.clear()
    with replacing(tmp_path / "loss.png") as part:
        part.write_text("a picture")
    assert synced == ["file", "folder"]


def fstat_kind(descriptor: int) -> str:
    return "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"


def test_what_its_owner_alone_could_read_is_as_open_as_the_folder(tmp_path: Path) -> None:
    for name, lend in (
        ("ranker", replacing_folder(tmp_path / "ranker", holds="a")),
        ("out", filling_folder(tmp_path / "out")),
    ):
        with lend as folder:
            folder.chmod(0o750)
            (folder / "a").touch(0o600)
        assert (tmp_path / name / "a").stat().st_mode & 0o777 == 0o640


def test_two_folders_change_places(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    if not exchange(tmp_path / "one", tmp_path / "other"):
        pytest.skip("a file system without an exchange")
    assert (names(tmp_path / "one"), names(tmp_path / "other")) == (["other"], ["one"])
    with pytest.raises(FileNotFoundError):
        exchange(tmp_path / "one", tmp_path / "missing")


def test_an_old_folder_is_back_when_the_new_one_cannot_be_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_ranker(tmp_path / "ranker")
    (tmp_path / "ranker" / "old").touch()
    rename = Path.rename

    def refused(path: Path, target: Path) -> Path:
        if ".part-" in path.name:
            raise PermissionError(errno.EACCES, "Permission denied")
        return rename(path, target)

    monkeypatch.setattr(atomic, "exchange", lambda one, other: False)
    monkeypatch.setattr(Path, "rename", refused)
    with pytest.raises(StorageError, match="cannot be written"):
        replace_ranker(tmp_path / "ranker")
    assert names(tmp_path) == ["ranker"]
    assert names(tmp_path / "ranker") == ["old", "ranker.json"]
