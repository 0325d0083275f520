"""TSV, and CSV without quotes: lines of columns, read by DuckDB as lines and split.

The first line of a CSV file is its header; that of a TSV file is one where it names the three columns. Further columns
are kept; in a TSV file without a header they are called column4 and so on. A CSV line has as many columns as the
header; a TSV line may have fewer, as long as the three are there, or more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path

from kb_index.readers.line_formats import LINES, literal_path
from kb_index.readers.raw_table import Query
from kb_index.readers.values import clean
from kb_index.readers.wanted_columns import DEFAULT_COLUMNS, distinct_names, find_columns, require_columns

__all__ = ["CSV_EXPECTED", "TSV_EXPECTED", "csv", "tsv", "tsv_header"]

TSV_EXPECTED = "expected UTF-8 lines of subject, predicate and object between tabs"
CSV_EXPECTED = "expected UTF-8 lines of columns between commas, the first line being the header"

_DELIMITED = f"""
    SELECT subject, predicate, object, extra, line,
           CASE WHEN line IS NULL OR (n_parts = 1 AND first = '') THEN ''
                WHEN n_parts < $least THEN 'expected ' || $least || ' columns, got ' || n_parts
                WHEN n_parts > $most THEN 'expected ' || $most || ' columns, got ' || n_parts
                ELSE triple_reason(subject, predicate, object, extra) END AS reason
    FROM (
        SELECT line, len(texts) AS n_parts, texts[1] AS first, texts[$wanted[1]] AS subject,
               texts[$wanted[2]] AS predicate, texts[$wanted[3]] AS object,
               CASE WHEN len(texts) > 3 THEN json_pairs(list_transform(
                   list_filter(range(1, len(texts) + 1), lambda i: NOT list_contains($wanted, i) AND texts[i] != ''),
                   lambda i: json_pair(coalesce($names[i], 'column' || i), texts[i])
               )) END AS extra
        FROM (
            SELECT line, list_transform(string_split(line, $separator), lambda part: cleaned(part)) AS texts
            FROM ({LINES})
        )
    )
"""

_MANY = 1 << 30


def tsv(path: Path, name: str, columns: tuple[str, str, str] | None) -> Query:
    """Query a TSV file.

    Raises:
        TripleFileError: `columns` are given, and the first line lacks one of them.
    """
    number, names = _header(path, "\t")
    wanted = require_columns(name, names, columns) if columns else find_columns(names, None)
    if wanted is None:
        return _query(path, "\t", (0, []), (0, 1, 2), (3, _MANY, TSV_EXPECTED))
    return _query(path, "\t", (number, names), wanted, (max(wanted) + 1, _MANY, TSV_EXPECTED))


def tsv_header(lines: Iterable[bytes], columns: tuple[str, str, str] | None) -> bytes:
    r"""Give the line that makes a stretch of a TSV file read as the whole, from the lines at its start.

    >>> tsv_header([b"\n", b"id\tsubject\tpredicate\tobject\r\n"], None)
    b'id\tsubject\tpredicate\tobject\r\n'
    >>> tsv_header([b"\xe5\x9d\x9b\xe7\xbb\x8f\tlanguage\tChinese\n"], None)
    b'subject\tpredicate\tobject\n'
    """
    each = chain.from_iterable(line.splitlines(keepends=True) for line in lines)  # some end with a \r alone
    first = next((line for line in each if clean(line.decode("utf-8", "replace"))), b"")
    names = [clean(part) for part in first.decode("utf-8", "replace").split("\t")]
    if columns or find_columns(names, None):
        return first
    end = b"\r\n" if first.endswith(b"\r\n") else b"\n"
    return b"\t".join(name.encode() for name in DEFAULT_COLUMNS) + end


def csv(path: Path, name: str, columns: tuple[str, str, str] | None) -> Query:
    """Query a CSV file in which no quote occurs.

    Raises:
        TripleFileError: the header lacks a column.
    """
    number, names = _header(path, ",")
    wanted = require_columns(name, names, columns)
    return _query(path, ",", (number, names), wanted, (len(names), len(names), CSV_EXPECTED))


def _header(path: Path, separator: str) -> tuple[int, list[str]]:
    """Give the number of the first line that is not blank, and its parts; 0 if all lines are blank."""
    with path.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            if clean(line):
                return number, [clean(part) for part in line.split(separator)]
    return 0, []


def _query(
    path: Path,
    separator: str,
    head: tuple[int, Sequence[str]],
    wanted: tuple[int, int, int],
    limits: tuple[int, int, str],
) -> Query:
    least, most, expected = limits
    parameters = {
        "path": literal_path(path),
        "separator": separator,
        "names": distinct_names(head[1]) or [""],
        "wanted": [position + 1 for position in wanted],
        "least": least,
        "most": most,
    }
    nothing = "nothing but a header" if head[0] else "nothing but blank lines"
    return Query(_DELIMITED, parameters, expected, nothing, head[0])
