r"""The same triples and questions through kbqa and through what people would otherwise use, in one table.

    python benchmarks/alternatives.py ../shared/data/nlpcc2016/bench.kbqa.kb \
        ../shared/data/nlpcc2016/nlpcc-iccpol-2016.kbqa.testing-data [--systems dict sqlite] [--triples N] [--out FILE]

Building and asking are a process of their own for each system, one after the other, so that peak memory is its own
(`alternatives_worker.py`). Prints a Markdown table and writes one JSON row a system, of this run alone, to `--out`; a
system that fails or takes too long has the reason in its row. Needs the dependency group `benchmarks`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results" / "alternatives.json"
WORKER = Path(__file__).with_name("alternatives_worker.py")
SET_UP = {
    "dict": "a dict of (predicate, object) lists by subject, filled from the file at each start; names normalised and "
    "without brackets as in kbqa; every substring of the question looked up; triples by overlap of predicate and "
    "question plus the name's share of the question",
    "sqlite": "a database file with indexes on name and subject; one query for all substrings; ordered as for the dict",
    "kbqa": "an index folder with the default encoder and the shipped ranker, no generator",
    "langchain": "one document a triple in a FAISS store of langchain-community as it comes (exact search), vectors by "
    "kbqa's default encoder made from the documents",
}
COLUMNS = {
    "build, s": "build_seconds",
    "disk, MB": "disk_mb",
    "peak when building, MB": "build_peak_mb",
    "open, s": "open_seconds",
    "opened, MB": "open_mb",
    "after the questions, MB": "asked_mb",
    "link and retrieve, p50 / p99 ms": "retrieve_ms",
    "first 20, p50 / p99 ms": "first_ms",
    "recall@1": "recall_1",
    "recall@20": "recall_20",
}


def main() -> None:
    """Run the systems in order, write their rows, print the table."""
    args = options()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(dir=args.work) as folder:
        triples, count = source(args.triples_file, args.triples, Path(folder))
        for name in args.systems:
            figures = measured(name, triples, args, Path(folder) / name)
            rows.append(row(name, f"{args.triples_file.name} ({count:,} lines), {args.questions_file.name}", figures))
            write(rows, args.out)
    print(table(rows))


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("triples_file", type=Path, help="file of subject ||| predicate ||| object")
    parser.add_argument("questions_file", type=Path, help="question file with gold triples")
    parser.add_argument("--systems", nargs="+", choices=SET_UP, default=list(SET_UP))
    parser.add_argument("--triples", type=int, help="read at most so many lines of triples")
    parser.add_argument("--drawn", type=int, default=500, help="questions, drawn with seed 0")
    parser.add_argument("--out", type=Path, default=RESULTS, help="file for the rows; default: %(default)s")
    parser.add_argument("--minutes", type=float, default=20, help="limit of each process")
    parser.add_argument("--work", type=Path, help="an existing folder for what the systems save; deleted after")
    return parser.parse_args()


def source(path: Path, limit: int | None, folder: Path) -> tuple[Path, int]:
    """The file of triples, or a copy of its first lines, and how many lines it has; it is in the page cache then."""
    with path.open("rb") as lines:
        if limit is None:
            return path, sum(1 for _ in lines)
        head = folder / path.name
        with head.open("wb") as copy:
            copy.writelines(islice(lines, limit))
    with head.open("rb") as lines:
        return head, sum(1 for _ in lines)


def measured(name: str, triples: Path, args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """The figures of one system; `failed` says why some are not there."""
    folder.mkdir()
    figures: dict[str, Any] = {}
    for phase in ("build", "ask"):
        command = [
            sys.executable,
            str(WORKER),
            phase,
            name,
            str(triples),
            str(args.questions_file),
            str(folder),
            str(args.drawn),
        ]
        print(f"{name}: {phase}", file=sys.stderr, flush=True)
        figures |= worker(command, 60 * args.minutes)
        if "failed" in figures:
            break
    shutil.rmtree(folder)
    return figures


def worker(command: Sequence[str], seconds: float) -> dict[str, Any]:
    """What a process of its own prints, or why it printed nothing."""
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        return {"failed": f"{command[2]}: over {seconds / 60:g} minutes"}
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["killed, perhaps for want of memory"])[-1]
        return {"failed": f"{command[2]}: exit status {done.returncode}: {last}"}
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def row(name: str, data: str, figures: dict[str, Any]) -> dict[str, Any]:
    """A system's row of results."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    return {
        "command": " ".join(["python", *sys.argv]),
        "commit": commit,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "data": data,
        "system": name,
        "set_up": SET_UP[name],
        "figures": figures,
    }


def write(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Write the rows of this run."""
    path.write_text(json.dumps(rows, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def table(rows: Sequence[dict[str, Any]]) -> str:
    """A Markdown table of the rows, and under it what each system was."""
    lines = ["| system | " + " | ".join(COLUMNS) + " |", "|---" + "|---:" * len(COLUMNS) + "|"]
    lines += [
        " | ".join([f"| {r['system']}", *(cell(r["figures"], key) for key in COLUMNS.values())]) + " |" for r in rows
    ]
    notes = [f"- {r['system']}: {r['set_up']}" for r in rows]
    failures = [f"- {r['system']} failed: {r['figures']['failed']}" for r in rows if "failed" in r["figures"]]
    return "\n".join([*lines, "", *notes, *failures])


def cell(figures: dict[str, Any], key: str) -> str:
    """A figure as text."""
    value = figures.get(key)
    if value is None:
        return "–"
    return " / ".join(f"{v:,}" for v in value) if isinstance(value, list) else f"{value:,}"


if __name__ == "__main__":
    main()
