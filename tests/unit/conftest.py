"""What the tests of the readers share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[DuckDBPyConnection]:
    """A database with the table `raw`, and a folder `spill`, in which a test must leave nothing."""
    import duckdb

    from kb_index.readers.raw_table import create_raw_table

    (tmp_path / "spill").mkdir()
    with duckdb.connect() as connection:
        create_raw_table(connection)
        yield connection
    assert not list((tmp_path / "spill").iterdir())
