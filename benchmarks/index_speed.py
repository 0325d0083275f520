"""Build an index and time its look-ups, beside the plain DuckDB read of the same file in the same run.

    python benchmarks/index_speed.py ../shared/data/nlpcc2016/bench.kbqa.kb ../shared/data/nlpcc2016/*.testing-data

Prints one JSON row: seconds of each stage, the ratio of the whole build to the plain read, the folder's size over the
file's, and microseconds of mentions and look-ups for the questions of the second file.
"""

from __future__ import annotations

import json
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb

from kb_index import KnowledgeBase, build_index
from kbqa_agent.linking import link
from kbqa_agent.qa_data import draw, read_questions
from kbqa_agent.retrieval import retrieve

N_QUESTIONS = 500
PLAIN_READ = """
    CREATE TEMP TABLE plain AS SELECT * FROM read_csv($1, delim = '|||', quote = '', escape = '', header = false,
        strict_mode = false, ignore_errors = true, columns = {'s': 'VARCHAR', 'p': 'VARCHAR', 'o': 'VARCHAR'})
"""


def main() -> None:
    """Build, look up, print."""
    source, questions = Path(sys.argv[1]), Path(sys.argv[2])
    plain = seconds(lambda: duckdb.execute(PLAIN_READ, [str(source)]))
    with tempfile.TemporaryDirectory() as folder:
        manifest = build_index([source], Path(folder) / "index")
        built = sum(manifest.seconds.values())
        asked = [e.question for e in draw(read_questions(questions), N_QUESTIONS, seed=0)]
        opened = seconds(lambda: KnowledgeBase.open(Path(folder) / "index").close())
        with KnowledgeBase.open(Path(folder) / "index") as kb:
            mentions = [1e6 * seconds(lambda q=q: kb.mentions(q)) for q in asked]
            both = [1e6 * seconds(lambda q=q: retrieve(kb, link(kb, q))) for q in asked]
    row = {
        "command": " ".join(["python", *sys.argv]),
        "machine": f"{platform.system()} {platform.machine()}",
        "triples": manifest.counts.triples,
        "stages_seconds": {name: round(value, 2) for name, value in manifest.seconds.items()},
        "build_seconds": round(built, 2),
        "plain_read_seconds": round(plain, 2),
        "build_to_plain_read": round(built / plain, 2),
        "folder_to_file": round(sum(manifest.files.values()) / source.stat().st_size, 2),
        "open_seconds": round(opened, 3),
        "mentions_us_p50": round(statistics.median(mentions)),
        "link_and_retrieve_us_p50": round(statistics.median(both)),
        "link_and_retrieve_us_p99": round(statistics.quantiles(both, n=100)[98]),
    }
    print(json.dumps(row, ensure_ascii=False))


def seconds(action: Callable[[], object]) -> float:
    """Wall-clock seconds of a call."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
