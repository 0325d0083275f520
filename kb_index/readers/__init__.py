"""Sources of triples, in every format, into one DuckDB table of lines: `load.py` is the way in."""
