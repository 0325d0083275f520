"""The lines of a checked text file in SQL, and the format NLPCC: `subject ||| predicate ||| object` a line.

The object may hold the separator itself. Other formats of one triple a line are in `delimited.py` and `json_lines.py`.
Blank lines are counted in line numbers, but not loaded.
"""

from __future__ import annotations

from pathlib import Path

from kb_index.readers.raw_table import Query

__all__ = ["LINES", "NLPCC_EXPECTED", "literal_path", "nlpcc"]

NLPCC_EXPECTED = "expected UTF-8 lines of `subject ||| predicate ||| object`"

# An empty line is NULL here. DuckDB takes lines apart right where all end with \n or all with \r\n, which byte_pass.py
# has made sure of. Of the delimiter, E'' is needed: without it, it is a backslash and an n, and cuts lines there.
# `max_line_size` is twice byte_pass.CHUNK_BYTES. A folder called `line=5` is no column of its files.
LINES = r"""
    SELECT line
    FROM read_csv($path, delim = E'\n', quote = '', escape = '', comment = '', header = false, auto_detect = false,
                  strict_mode = false, columns = {'line': 'VARCHAR'}, max_line_size = 8388608, compression = 'none',
                  hive_partitioning = false)
"""

_NLPCC = f"""
    SELECT subject, predicate, object, NULL AS extra, line,
           CASE WHEN line IS NULL OR (n_parts = 1 AND subject = '') THEN ''
                WHEN n_parts < 3 THEN 'expected 3 parts separated by |||, got ' || n_parts
                ELSE triple_reason(subject, predicate, object, NULL) END AS reason
    FROM (
        SELECT line, n_parts, part(s, odd) AS subject, part(p, odd) AS predicate, part(o, odd) AS object
        FROM (
            SELECT line, is_odd(line) AS odd, len(parts) AS n_parts, parts[1] AS s, parts[2] AS p,
                   CASE WHEN n_parts > 3 THEN array_to_string(parts[3:], '|||') ELSE parts[3] END AS o
            FROM (SELECT line, string_split(line, '|||') AS parts FROM ({LINES}))
        )
    )
"""


def nlpcc(path: Path) -> Query:
    """Query a file of `subject ||| predicate ||| object` lines."""
    return Query(_NLPCC, {"path": literal_path(path)}, NLPCC_EXPECTED)


def literal_path(path: Path) -> str:
    """Keep DuckDB from reading `*`, `?` and `[` in a file's name as a pattern."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in str(path))
