"""The text of a file of questions or training rows, or one line that says why there is none.

It knows no format: those are in `qa_data` and `text2text`.
"""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

from kb_index.errors import QuestionFileError

__all__ = ["read_text", "refuse"]


def refuse(where: str, got: str, advice: str) -> NoReturn:
    """Raise a QuestionFileError that says where, what was got and what to do."""
    raise QuestionFileError(f"{where}: {got}; {advice}")


def read_text(path: Path) -> str:
    """Read a UTF-8 file, with or without a byte order mark.

    Raises: QuestionFileError when it is missing, holds nothing but white space, or is no UTF-8 text.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise QuestionFileError(f"{path}: cannot be read ({error.strerror}); name an existing question file") from error
    if b"\0" in data:
        refuse(str(path), "binary data", "expected UTF-8 text")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise QuestionFileError(f"{path}:{line}: not UTF-8; convert the file, e.g. with iconv -t utf-8") from error
    if not text.strip():
        refuse(str(path), "the file is empty", "expected questions")
    return text
