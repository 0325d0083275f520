"""Sources of triples into the table `raw`; a line that is no triple is set aside with its number and a reason.

Formats: NLPCC lines, TSV, CSV, JSON lines, Parquet, N-Triples and Turtle, the text ones packed or not; data frames and
rows from Python. A format is one SQL query over the file where DuckDB can read it, and chunks of columns elsewhere.
Nothing is normalised here but blanks and control characters (`raw_table.py`), and duplicates are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kb_index.readers.file_loader import FileLoader
from kb_index.readers.formats import check_format_name
from kb_index.readers.rdf import create_rdf_tables, drop_rdf_tables, name_nodes
from kb_index.readers.row_sources import RowLoader
from kb_index.readers.sources import NamedFile, ReadOptions, Source, SourceFile, resolve

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["load_all", "load_sources", "total_bytes"]


def total_bytes(sources: Sequence[Source]) -> int:
    """Say what `load_sources` will tell `on_bytes` in all, as far as it is known before."""
    paths = (Path(source.path) for source in resolve(sources) if isinstance(source, NamedFile))
    return sum(2 * path.stat().st_size for path in paths if path.is_file())


def load_sources(
    connection: DuckDBPyConnection,
    sources: Sequence[Source],
    options: ReadOptions,
    spill: Path,
    on_bytes: Callable[[int], object],
) -> list[SourceFile]:
    """Append every line that is not blank to `raw`, in the order of sources and lines; lists the sources as read.

    `spill` is an existing folder for temporary files. `on_bytes` is told how many bytes were worked on; each byte
    counts twice, when it is checked and when it is loaded.

    Raises:
        InputError: the format has no such name.
        TripleFileError: a source is missing, empty, damaged, in another format, or changed while it was read.
    """
    check_format_name(options.format)
    named = resolve(sources)
    loaders = [
        FileLoader(number, source.path, options, spill)
        if isinstance(source, NamedFile)
        else RowLoader(number, source.path, source.rows, options)
        for number, source in enumerate(named)
    ]
    return load_all(connection, loaders, on_bytes)


def load_all(
    connection: DuckDBPyConnection, loaders: Sequence[FileLoader | RowLoader], on_bytes: Callable[[int], object]
) -> list[SourceFile]:
    """Load the sources in their order, all graphs being parsed before that; lists them as read.

    Raises:
        TripleFileError: as `load_sources`.
    """
    files = [loader for loader in loaders if isinstance(loader, FileLoader)]
    try:
        _parse_graphs(connection, files, on_bytes)
        return [loader.load(connection, on_bytes) for loader in loaders]
    finally:
        for file in files:
            file.clean_up()
        drop_rdf_tables(connection)


def _parse_graphs(
    connection: DuckDBPyConnection, files: Iterable[FileLoader], on_bytes: Callable[[int], object]
) -> None:
    """Parse all graphs before any is loaded: a label in one of them may name a node of another."""
    graphs = [file for file in files if file.is_graph()]
    if graphs:
        create_rdf_tables(connection)
        for graph in graphs:
            graph.parse(connection, on_bytes)
        name_nodes(connection)
