"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from kb_index.errors import StorageError
from kbqa_agent.atomic import replacing, replacing_text


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
        pytest.raises(StorageError, match=r"file\.txt: cannot be written \(No space left on device\)"),
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
