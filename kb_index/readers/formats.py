"""Which format a source has: by its content where that is plain, then by its ending, then by its content again."""

from __future__ import annotations

import re
from pathlib import Path

from kb_index.errors import InputError, TripleFileError
from kb_index.readers.compression import PACKED_ENDINGS
from kb_index.readers.values import clean
from kb_index.readers.wanted_columns import find_columns

__all__ = ["FORMATS", "FORMAT_BYTES", "check_format_name", "format_of"]

FORMATS = ("nlpcc", "tsv", "csv", "jsonl", "parquet", "ntriples", "turtle")

FORMAT_BYTES = 1 << 16
"""So many bytes at the beginning of a file, unpacked, tell its format."""

_ENDINGS = {
    ".csv": "csv",
    ".json": "jsonl",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".nlpcc": "nlpcc",
    ".nt": "ntriples",
    ".parquet": "parquet",
    ".tsv": "tsv",
    ".ttl": "turtle",
}

_N_TRIPLES = re.compile(r"(<[^<>]*>|_:\S+)\s*<[^<>]*>\s*\S.*\.\s*(#.*)?$")

_TURTLE = re.compile(r"(@prefix|@base|prefix|base)\s+\S", re.IGNORECASE)

_JSON = re.compile(r"\{.*\}$|\[.*\]$")


def check_format_name(name: str) -> None:
    """Make sure that there is such a format, or that it is `auto`.

    Raises:
        InputError: there is none.
    """
    if name not in ("auto", *FORMATS):
        raise InputError(f"format '{name}': not known; expected auto, {', '.join(FORMATS)}")


def format_of(path: str, start: bytes, columns: tuple[str, str, str] | None) -> str:
    r"""Name the format of a file from its name and its first `FORMAT_BYTES` bytes.

    Raises:
        TripleFileError: it is UTF-16.

    >>> format_of("kb.txt", "坛经\t作者\t惠能\n".encode(), None)
    'tsv'
    """
    if start.startswith(b"PAR1"):
        return "parquet"
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise TripleFileError(f"{path}: UTF-16; expected UTF-8, convert it: iconv -f UTF-16 -t UTF-8")
    name = Path(path)
    ending = Path(name.stem).suffix if name.suffix.lower() in PACKED_ENDINGS else name.suffix
    return _ENDINGS.get(ending.lower()) or _sniffed(start, columns)


def _sniffed(start: bytes, columns: tuple[str, str, str] | None) -> str:
    text = start.decode("utf-8", "replace").removeprefix("\ufeff")
    lines = [line.strip(" ") for line in text.splitlines() if line.strip()]
    if len(start) == FORMAT_BYTES and len(lines) > 1:
        lines.pop()  # cut off
    content = [line for line in lines if not line.startswith("#")] or [""]
    if _most(content, [line.count("|||") > 1 for line in content]):
        return "nlpcc"
    if _TURTLE.match(content[0]):
        return "turtle"
    if _most(content, [bool(_N_TRIPLES.match(line)) for line in content]):
        return "ntriples"
    if _most(content, [bool(_JSON.match(line)) for line in content]):
        return "jsonl"
    if _most(content, [line.count("\t") > 1 for line in content]):
        return "tsv"
    header = [clean(part.strip('"')) for part in content[0].split(",")]
    return "csv" if find_columns(header, columns) else "nlpcc"


def _most(lines: list[str], fitting: list[bool]) -> bool:
    return 2 * sum(fitting) > len(lines)
