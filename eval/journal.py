"""What was answered so far, on disk: an evaluation that is killed goes on where it was, if all is as it was then.

The file's name holds the key of what is evaluated (`eval.identity`); that of another key is not read, and goes when an
evaluation of the folder is whole.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from eval.results import Row
from kb_index.atomic import storage_errors

__all__ = ["Journal"]

NAME = re.compile(r"asked-[0-9a-f]{16}\.jsonl")


class Journal:
    """Answered questions in order, each with the seconds that it took."""

    def __init__(self, folder: Path, key: str) -> None:
        self.folder, self.path = folder, folder / f"asked-{key[:16]}.jsonl"

    @staticmethod
    def is_in(folder: Path) -> bool:
        """Say whether an evaluation of this folder was begun."""
        return any(_journals(folder))

    def read(self) -> list[tuple[float, Row]]:
        """Seconds and row of each question that was answered; what a kill left half written does not count."""
        try:
            lines = self.path.read_bytes().split(b"\n")[:-1]
        except FileNotFoundError:
            return []
        return [(seconds, row) for seconds, row in map(json.loads, lines)]

    @contextmanager
    def adding(self) -> Iterator[Journal]:
        """Open it to add to. Raises: StorageError."""
        with storage_errors(self.path):
            self.folder.mkdir(parents=True, exist_ok=True)
            whole = self.path.read_bytes().rfind(b"\n") + 1 if self.path.exists() else 0
            with self.path.open("a", encoding="utf-8", errors="replace", newline="\n") as stream:
                stream.truncate(whole)
                self._stream: TextIO = stream
                yield self

    def add(self, seconds: float, row: Row) -> None:
        """Keep the row of the next question."""
        self._stream.write(json.dumps([seconds, row], ensure_ascii=False) + "\n")
        self._stream.flush()

    def done(self) -> None:
        """Delete it, and those of other keys: the folder has the evaluation's own files now."""
        for path in _journals(self.folder):
            path.unlink(missing_ok=True)


def _journals(folder: Path) -> list[Path]:
    return [path for path in folder.glob("asked-*.jsonl") if NAME.fullmatch(path.name)]
