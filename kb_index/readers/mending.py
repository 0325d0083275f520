r"""A copy of a text file that DuckDB can read, where the file itself has bytes or lines that it cannot.

Every line keeps its number: one that cannot be read becomes a blank line in the copy and is handed back as a reject.
Lines end with `\n`, `\r\n` or `\r`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from kb_index.readers.byte_pass import CHUNK_BYTES
from kb_index.readers.raw_table import REJECT_CHARS, SAMPLE_LINES, Reject, refuse_if_mostly_bad

__all__ = ["mend", "text_lines", "unreadable"]

MAX_LINE_BYTES = 2 * CHUNK_BYTES

_KEPT_BYTES = 8 * REJECT_CHARS


def mend(source: Path, copy: Path, name: str, expected: str, *, is_start: bool = True) -> list[Reject]:
    """Write the lines of `source` that can be read to `copy` and list the others; judges the start of a file.

    Raises:
        TripleFileError: over half of the first 1,000 lines cannot be read; it speaks of `name`.
    """
    rejects: list[Reject] = []
    n_lines = 0
    with source.open("rb") as lines, copy.open("wb") as out:
        for number, (line, size) in enumerate(text_lines(lines), 1):
            reason = unreadable(line, size)
            if reason is None:
                out.write(line)
            else:
                rejects.append(Reject(number, reason, line[:_KEPT_BYTES].decode("utf-8", "replace")[:REJECT_CHARS]))
            out.write(b"\n")
            n_lines += bool(line.strip())
            if n_lines == SAMPLE_LINES and is_start:
                _refuse(rejects, n_lines, name, expected)
    if n_lines < SAMPLE_LINES and is_start:
        _refuse(rejects, n_lines, name, expected)
    return rejects


def _refuse(rejects: list[Reject], n_lines: int, name: str, expected: str) -> None:
    problems = [(reject.line_number, reject.reason) for reject in rejects]
    binary = 2 * sum("zero byte" in reason for _, reason in problems) > len(problems)
    advice = "it looks binary, unpack or convert it" if binary else "convert it: iconv -f GB18030 -t UTF-8"
    refuse_if_mostly_bad(name, problems, n_lines, f"{expected}; {advice}")


def unreadable(line: bytes, size: int) -> str | None:
    """Say why a line of `size` bytes, of which `line` may be the beginning, cannot be read; None if it can."""
    if size > MAX_LINE_BYTES:
        return f"a line of {size} bytes, expected at most {MAX_LINE_BYTES >> 20} MiB"
    zero = line.find(b"\0")
    if zero >= 0:
        return f"a zero byte at byte {zero + 1} of the line"
    try:
        line.decode("utf-8")
    except UnicodeDecodeError as error:
        return f"not UTF-8, byte 0x{line[error.start]:02x} at byte {error.start + 1} of the line"
    return None


def text_lines(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Yield each line without its end, cut where it is too long, and its size in bytes."""
    rest, cut = b"", 0  # the unfinished last line, and how many bytes of it were let go
    while chunk := file.read(CHUNK_BYTES):
        whole = rest + chunk
        lines = whole.splitlines(keepends=True)
        rest = b"" if whole.endswith(b"\n") else lines.pop()  # what follows a \r is not known yet
        for line in lines:
            text = _without_end(line)
            yield text, cut + len(text)
            cut = 0
        if len(rest) > MAX_LINE_BYTES and not rest.endswith(b"\r"):
            cut, rest = cut + len(rest) - _KEPT_BYTES, rest[:_KEPT_BYTES]
    if rest:
        text = _without_end(rest)
        yield text, cut + len(text)


def _without_end(line: bytes) -> bytes:
    return line.removesuffix(b"\r\n") if line.endswith(b"\r\n") else line.removesuffix(b"\n").removesuffix(b"\r")
