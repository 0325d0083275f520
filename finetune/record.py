"""What every training leaves beside its result: a record of command, data and versions, and `metrics.jsonl`.

It neither trains nor knows what is trained.
"""

from __future__ import annotations

import hashlib
import json
import shlex
import sys
import time
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from kb_index.errors import InputError

__all__ = ["StageMetrics", "read_metrics", "read_record", "sha256_of", "training_record", "write_metrics"]


def training_record(config: dict[str, Any], data: dict[str, Any], packages: Iterable[str]) -> dict[str, Any]:
    """Put on record how a training was called: command line, settings with seed, what it saw, and versions."""
    settings = {
        key: value if isinstance(value, (int, float, str, type(None))) else str(value) for key, value in config.items()
    }
    return {
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "config": settings,
        **data,
        "versions": {name: _version(name) for name in ("kbqa", *packages)},
    }


def sha256_of(rows: Iterable[Any]) -> str:
    """Fingerprint training data by its content, whatever file it came from.

    >>> sha256_of([("问：谁？", "惠能")])[:16], sha256_of([])[:16]
    ('e496c2fe6a3f41af', 'e3b0c44298fc1c14')
    """
    digest = hashlib.sha256()
    for row in rows:
        digest.update(json.dumps(row, ensure_ascii=False).encode() + b"\n")
    return digest.hexdigest()


def read_record(path: Path) -> dict[str, Any]:
    """Read the record of a training that is to be resumed. Raises: InputError where it is damaged."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(record["config"], dict) and isinstance(record["rows_sha256"], str):
            return dict(record)
    except (ValueError, KeyError, TypeError):
        pass
    raise InputError(f"{path}: damaged; expected the record of the training to resume; begin anew without --resume")


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Read the lines of a `metrics.jsonl`; none where it is missing. A last line that was cut off is left out.

    Raises: InputError where another line is damaged.
    """
    lines = path.read_bytes().splitlines() if path.is_file() else []
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            rows.append(dict(json.loads(line)))
        except (ValueError, TypeError) as error:
            if number < len(lines):
                raise InputError(f"{path}:{number}: not a JSON object; begin anew without --resume") from error
    return rows


def write_metrics(rows: Iterable[dict[str, Any]], path: Path) -> None:
    """Write rows as JSON lines."""
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")


class StageMetrics:
    """The figures of each stage of a training, with the seconds since it began."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self._start = time.perf_counter()

    @property
    def seconds(self) -> float:
        """The time since the training began."""
        return time.perf_counter() - self._start

    def add(self, stage: str, **figures: float) -> None:
        """Note the figures of a stage that is over."""
        self.rows.append({"stage": stage, **figures, "seconds": round(self.seconds, 2)})


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
