"""Training rows in, training rows out, as text2text JSON.

A file is `{"type": "text2text", "instances": [{"input": ..., "output": ...}]}`. A row is a prompt and the text to write
after it. How questions become rows is in `finetune`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from kb_index.atomic import replacing_text
from kb_index.errors import QuestionFileError
from kbqa_agent.question_file import read_text, refuse

__all__ = ["Text2TextRow", "parse_text2text", "read_text2text", "write_text2text"]


class Text2TextRow(NamedTuple):
    """A prompt and the text that a generator is to write after it."""

    input: str
    output: str


def read_text2text(path: Path) -> list[Text2TextRow]:
    """Read the rows of a text2text file. Raises: QuestionFileError."""
    return list(parse_text2text(path, read_text(path)))


def write_text2text(rows: Iterable[tuple[str, str]], path: Path) -> None:
    """Write (input, output) pairs as text2text JSON, one instance a line. Raises: StorageError."""
    with replacing_text(path) as stream:
        stream.write('{"type": "text2text", "instances": [')
        for number, (source, target) in enumerate(rows):
            line = json.dumps({"input": source, "output": target}, ensure_ascii=False)
            stream.write(f"{',' if number else ''}\n{line}")
        stream.write("\n]}\n")


def parse_text2text(path: Path, text: str) -> Iterator[Text2TextRow]:
    """Parse the `text` of the file `path`, which goes into messages. Raises: QuestionFileError."""
    try:
        document = json.loads(text)
    except ValueError as error:
        line = getattr(error, "lineno", 1)
        raise QuestionFileError(f"{path}:{line}: not JSON ({error}); expected text2text JSON") from error
    instances = document.get("instances") if isinstance(document, dict) else None
    if not isinstance(instances, list) or document.get("type", "text2text") != "text2text":
        refuse(str(path), "not text2text", 'expected {"type": "text2text", "instances": [...]}')
    for number, row in enumerate(instances, 1):
        values = (row.get("input"), row.get("output")) if isinstance(row, dict) else (None, None)
        if not isinstance(values[0], str) or not isinstance(values[1], str):
            refuse(f"{path}: instance {number}", f"got {str(row)[:40]}", 'expected {"input": "...", "output": "..."}')
        yield Text2TextRow(values[0], values[1])
