"""What was answered so far, on disk: an evaluation that is killed goes on where it was, if all is as it was then.

The file's name holds the key of what is evaluated (`eval.identity`); that of another key is not read, and goes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from eval.results import Row
from kb_index.atomic import storage_errors

__all__ = ["Journal"]

PATTERN = "asked-*.jsonl"


class Journal:
    """Answered questions in order, each with the seconds that it took."""

    def __init__(self, folder: Path, key: str) -> None:
        self.folder, self.path = folder, folder / f"asked-{key[:16]}.jsonl"

    @staticmethod
    def is_in(folder: Path) -> bool:
        """Say whether an evaluation of this folder was begun."""
        return any(folder.glob(PATTERN))

    def read(self) -> list[tuple[float, Row]]:
        """Seconds and row of each question that was answered; what a kill left half written does not count."""
        try:
            lines = self.path.read_bytes().split(b"\n")[:-1]
        except FileNotFoundError:
            return []
        return [(seconds, row) for seconds, row in map(json.loads, lines)]

    @contextmanager
    def adding(self) -> Iterator[Journal]:
        """Open it to add to; journals of other keys are deleted. Raises: StorageError."""
        with storage_errors(self.path):
            self.folder.mkdir(parents=True, exist_ok=True)
            for other in set(self.folder.glob(PATTERN)) - {self.path}:
                other.unlink()
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
        """Delete it: all of it is in the evaluation's own files."""
        self.path.unlink(missing_ok=True)
