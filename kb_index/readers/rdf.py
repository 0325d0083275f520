"""N-Triples and Turtle, parsed by pyoxigraph: labels become names, and IRIs stay as keys.

The name of an IRI or a blank node is its label, in any of the sources: skos:prefLabel before rdfs:label, without a
language before Chinese, English and any other, then the first in the order of characters. Without a label it is what
follows the last `#` or `/` of the IRI, percent-decoded. Triples that state a label have the predicate `label`, so that
every label becomes an alias. A literal loses its datatype; its language, in lower case, goes into the extra columns as
`language`, and an object's IRI as `object_iri`. A blank node is the entity `_:id@file`; one without an id in the file
is `_:[n]@file`, the n-th.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from kb_index.array_tables import registered
from kb_index.errors import TripleFileError
from kb_index.readers.mending import text_lines, unreadable
from kb_index.readers.raw_table import INSERT_LINES, REJECT_CHARS, Reject, insert_rejects, refuse_if_mostly_bad

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["create_rdf_tables", "drop_rdf_tables", "insert_rdf", "name_nodes", "parse_n_triples", "parse_turtle"]

CHUNK_TRIPLES = 100_000

BLOCK_LINES = 5000
"""So many lines of N-Triples are parsed at once, and one by one where that does not give a triple for each."""

_N_TRIPLES_EXPECTED = "expected UTF-8 lines of N-Triples"

# pyoxigraph draws 128 bits until they begin with a letter in hexadecimal, which is written without zeros before it.
_GENERATED_ID = re.compile(r"[a-f][0-9a-f]{24,31}")

_TABLES = r"""
    CREATE OR REPLACE TEMP TABLE rdf (
        file UINTEGER, line_number BIGINT, subject VARCHAR, predicate VARCHAR, object VARCHAR, is_node BOOLEAN,
        language VARCHAR
    );
    CREATE OR REPLACE TEMP TABLE rdf_name (node VARCHAR, name VARCHAR);
    CREATE OR REPLACE TEMP MACRO url_decoded(text) AS coalesce(TRY(url_decode(text)), text);
    CREATE OR REPLACE TEMP MACRO local_name(node) AS CASE
        WHEN starts_with(node, '_:') THEN split_part(node, '@', 1)
        ELSE coalesce(nullif(cleaned(url_decoded(regexp_extract(node, '([^#/]+)[#/]*$', 1))), ''), node) END;
    CREATE OR REPLACE TEMP MACRO label_rank(predicate) AS CASE predicate
        WHEN 'http://www.w3.org/2004/02/skos/core#prefLabel' THEN 0
        WHEN 'http://www.w3.org/2000/01/rdf-schema#label' THEN 1 END;
    CREATE OR REPLACE TEMP MACRO language_rank(language) AS CASE
        WHEN language IS NULL THEN 0 WHEN regexp_matches(lower(language), '^zh(-|$)') THEN 1
        WHEN regexp_matches(lower(language), '^en(-|$)') THEN 2 ELSE 3 END;
"""

_NAMES = """
    INSERT INTO rdf_name
    WITH label AS (
        SELECT subject AS node, arg_min(name, (label_rank(predicate), language_rank(language), name)) AS name FROM (
            SELECT subject, predicate, language, cleaned(object) AS name FROM rdf
            WHERE label_rank(predicate) IS NOT NULL AND NOT is_node
        ) WHERE name != '' AND strlen(name) <= 1048576 GROUP BY subject
    )
    SELECT node, coalesce(label.name, local_name(node)) FROM (
        SELECT subject AS node FROM rdf UNION SELECT predicate FROM rdf UNION SELECT object FROM rdf WHERE is_node
    ) LEFT JOIN label USING (node)
"""

_LINES = """
    SELECT *, triple_reason(subject, predicate, object, extra) AS reason, concat_ws(' ', key, predicate, object) AS line
    FROM (
        SELECT file, line_number, rdf.subject AS key, s.name AS subject,
               CASE WHEN label_rank(rdf.predicate) IS NOT NULL THEN 'label' ELSE p.name END AS predicate,
               CASE WHEN is_node THEN o.name ELSE cleaned(rdf.object) END AS object,
               CASE WHEN is_node THEN json_pairs([json_pair('object_iri', rdf.object)])
                    WHEN language IS NOT NULL THEN json_pairs([json_pair('language', language)]) END AS extra
        FROM rdf JOIN rdf_name s ON s.node = rdf.subject JOIN rdf_name p ON p.node = rdf.predicate
             LEFT JOIN rdf_name o ON is_node AND o.node = rdf.object
        WHERE file = $1
    )
"""
_INSERT = INSERT_LINES.format(_LINES) + "ORDER BY line_number"


class _Parsed(NamedTuple):
    """A triple before its nodes have names; `is_node` says that the object is no literal."""

    line_number: int
    subject: str
    predicate: str
    object: str
    is_node: bool
    language: str | None


def create_rdf_tables(connection: DuckDBPyConnection) -> None:
    """Make the temporary tables that hold triples until all labels are known."""
    connection.execute(_TABLES)


def drop_rdf_tables(connection: DuckDBPyConnection) -> None:
    """Drop them, if they are there."""
    connection.execute("DROP TABLE IF EXISTS rdf; DROP TABLE IF EXISTS rdf_name")


def name_nodes(connection: DuckDBPyConnection) -> None:
    """Choose each node's name from the labels in all parsed sources."""
    connection.execute(_NAMES)


def insert_rdf(connection: DuckDBPyConnection, file: int) -> None:
    """Append the triples of a parsed source to `raw`."""
    connection.execute(_INSERT, [file])


def parse_turtle(connection: DuckDBPyConnection, path: Path, file: int, name: str) -> None:
    """Parse a Turtle file; a triple's line number is its place among the triples, from 1.

    Raises:
        TripleFileError: it is not Turtle; says the line and why.
    """
    import pyoxigraph

    nodes = _Nodes(name)
    try:
        quads = pyoxigraph.parse(path=str(path), format=pyoxigraph.RdfFormat.TURTLE)
        triples = (nodes.parsed(number, quad) for number, quad in enumerate(quads, 1))
        n_triples = _store(connection, file, triples)
    except SyntaxError as error:
        raise TripleFileError(f"{name}: line {error.lineno}: {_problem(error)}; expected Turtle, mend it") from error
    if not n_triples:
        raise TripleFileError(f"{name}: no triple in it; expected Turtle")


def parse_n_triples(connection: DuckDBPyConnection, path: Path, file: int, name: str) -> None:
    """Parse a file of N-Triples; lines that are none become rejects, comments and blank lines nothing.

    Raises:
        TripleFileError: over half of the first lines are no triples.
    """
    nodes, rejects, n_triples = _Nodes(name), list[Reject](), 0
    with path.open("rb") as file_:
        lines = enumerate(text_lines(file_), 1)
        while block := list(islice(lines, BLOCK_LINES)):
            parsed, bad = _block(nodes, block)
            if n_triples == 0 and bad:
                problems = [(reject.line_number, reject.reason) for reject in bad]
                refuse_if_mostly_bad(name, problems, len(parsed) + len(bad), _N_TRIPLES_EXPECTED)
            n_triples += _store(connection, file, iter(parsed))
            rejects += bad
    if not n_triples:
        raise TripleFileError(f"{name}: no triple in it; {_N_TRIPLES_EXPECTED}")
    insert_rejects(connection, file, rejects)


def _block(nodes: _Nodes, block: list[tuple[int, tuple[bytes, int]]]) -> tuple[list[_Parsed], list[Reject]]:
    """Parse lines at once, or each alone where one of them is no triple."""
    try:
        quads = _quads(b"\n".join(line for _, (line, _) in block))
    except SyntaxError:
        quads = []
    if len(quads) == len(block):
        return [nodes.parsed(number, quad) for (number, _), quad in zip(block, quads, strict=True)], []
    parsed, bad = list[_Parsed](), list[Reject]()
    for number, (line, size) in block:
        reason = unreadable(line, size)
        try:
            parsed += [nodes.parsed(number, quad) for quad in ([] if reason else _quads(line))]
        except SyntaxError as error:
            reason = _problem(error)
        if reason:
            bad.append(Reject(number, reason, line.decode("utf-8", "replace")[:REJECT_CHARS]))
    return parsed, bad


def _quads(text: bytes) -> list[Any]:
    import pyoxigraph

    return list(pyoxigraph.parse(text, format=pyoxigraph.RdfFormat.N_TRIPLES))


def _problem(error: SyntaxError) -> str:
    """Give the reason alone; the parser's message begins with where it is."""
    return " ".join(str(error.msg).split(": ", 1)[-1].split())


class _Nodes:
    """Turns what pyoxigraph parsed from one file into text."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._numbers: dict[str, int] = {}

    def parsed(self, line_number: int, quad: Any) -> _Parsed:
        object_ = quad.object
        kind = type(object_).__name__
        if kind == "Literal":
            text, is_node, language = object_.value, False, object_.language
        else:
            text, is_node, language = self._node(object_), True, None
        return _Parsed(line_number, self._node(quad.subject), quad.predicate.value, text, is_node, language)

    def _node(self, node: Any) -> str:
        kind = type(node).__name__
        if kind == "NamedNode":
            return str(node.value)
        if kind != "BlankNode":
            return str(node)  # a triple term
        label = node.value
        if _GENERATED_ID.fullmatch(label):  # random, and another one each time that the file is read
            label = f"[{self._numbers.setdefault(label, len(self._numbers) + 1)}]"
        return f"_:{label}@{self._path}"


def _store(connection: DuckDBPyConnection, file: int, triples: Iterator[_Parsed]) -> int:
    """Bring triples into `rdf` and count them."""
    n_triples = 0
    while chunk := list(islice(triples, CHUNK_TRIPLES)):
        numbers, *texts = zip(*chunk, strict=True)
        columns = {"line_number": np.array(numbers, dtype=np.int64)}
        for name, values in zip(_Parsed._fields[1:], texts, strict=True):
            columns[name] = np.array(values, dtype=bool if name == "is_node" else object)
        with registered(connection, "rdf_chunk", columns):
            connection.execute("INSERT INTO rdf BY NAME SELECT $1 AS file, * FROM rdf_chunk", [file])
        n_triples += len(chunk)
    return n_triples
