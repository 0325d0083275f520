"""JSON lines: an object with the three columns, or a list of three, on each line."""

from __future__ import annotations

from pathlib import Path

from kb_index.readers.line_formats import LINES, literal_path
from kb_index.readers.raw_table import Query
from kb_index.readers.wanted_columns import DEFAULT_COLUMNS

__all__ = ["JSON_EXPECTED", "json_lines"]

JSON_EXPECTED = "expected a JSON object a line with a key for each of subject, predicate and object, or a list of three"

_POSITION = """coalesce(
    nullif(list_position(keys, {0}), 0), list_position(list_transform(keys, lambda k: lower(k)), lower({0}))
)"""

_KIND = """CASE json_type({0}) WHEN 'OBJECT' THEN 'the {1} is an object, expected text'
                            WHEN 'ARRAY' THEN 'the {1} is a list, expected text' END"""

_JSON = f"""
    SELECT subject, predicate, object, line,
           CASE WHEN is_blank THEN ''
                WHEN document IS NULL THEN 'not JSON'
                WHEN kind = 'ARRAY' AND len(content) != 3 THEN 'expected a list of three, got ' || len(content)
                WHEN kind NOT IN ('ARRAY', 'OBJECT') THEN 'expected an object or a list of three, got ' || line[:30]
                WHEN content IS NULL THEN 'a key appears twice'
                WHEN least(coalesce(s, 0), coalesce(p, 0), coalesce(o, 0)) = 0
                THEN 'one of the keys ' || array_to_string([$subject, $predicate, $object], ', ') || ' is missing'
                ELSE coalesce({_KIND.format("content[s]", "subject")}, {_KIND.format("content[p]", "predicate")},
                              {_KIND.format("content[o]", "object")}, triple_reason(subject, predicate, object, extra))
           END AS reason, extra
    FROM (
        SELECT * EXCLUDE (texts), texts[s] AS subject, texts[p] AS predicate, texts[o] AS object,
               CASE WHEN len(texts) > 3 THEN json_pairs(list_transform(
                   list_filter(range(1, len(texts) + 1), lambda i: i NOT IN (s, p, o) AND texts[i] != ''),
                   lambda i: json_pair(cleaned(keys[i]), texts[i])
               )) END AS extra
        FROM (
            SELECT *, list_transform(list_transform(content, lambda v: v->>'$'), lambda t: cleaned(t)) AS texts,
                   {_POSITION.format("$subject")} AS s, {_POSITION.format("$predicate")} AS p,
                   {_POSITION.format("$object")} AS o
            FROM (
                SELECT line, is_blank, document, kind,
                       CASE kind WHEN 'ARRAY' THEN [$subject, $predicate, $object] ELSE map_keys(fields) END AS keys,
                       CASE kind WHEN 'ARRAY' THEN from_json(document, '["JSON"]') ELSE map_values(fields) END
                       AS content
                FROM (
                    SELECT *, json_type(document) AS kind, TRY_CAST(document AS MAP(VARCHAR, JSON)) AS fields
                    FROM (
                        SELECT line, line IS NULL OR cleaned(line) = '' AS is_blank, TRY_CAST(line AS JSON) AS document
                        FROM ({LINES})
                    )
                )
            )
        )
    )
"""


def json_lines(path: Path, columns: tuple[str, str, str] | None) -> Query:
    """Query a file of JSON lines."""
    wanted = columns or DEFAULT_COLUMNS
    parameters = {"path": literal_path(path), **dict(zip(DEFAULT_COLUMNS, wanted, strict=True))}
    return Query(_JSON, parameters, JSON_EXPECTED)
