"""Rows of JSON, one a line, in files that appear whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kb_index.atomic import replacing_text
from kb_index.errors import InputError

__all__ = ["read_rows", "write_rows"]


def write_rows(rows: Iterable[dict[str, Any]], path: Path) -> None:
    """Write rows as JSON lines. Raises: StorageError."""
    with replacing_text(path) as stream:
        for row in rows:
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Read what `write_rows` wrote. Raises: InputError where a line is damaged."""
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n")[:-1], 1):
        try:
            rows.append(dict(json.loads(line)))
        except (ValueError, TypeError) as error:
            raise InputError(f"{path}:{number}: damaged; delete the file and go on with --resume") from error
    return rows
