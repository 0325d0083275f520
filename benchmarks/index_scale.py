"""Build an index, look things up in it and change it, beside the plain DuckDB read of the same file in the same run.

    python ../shared/tools/make_full_kb.py ../shared/data/nlpcc2016/bench.kbqa.kb runs/full.kbqa.kb
    python benchmarks/index_scale.py runs/full.kbqa.kb ../shared/data/nlpcc2016/nlpcc-iccpol-2016.kbqa.testing-data

Each part runs in a process of its own, so that its peak memory is its own and its look-ups begin cold (the files may be
in the operating system's cache). The floor is one DuckDB query that reads the three parts of all lines into a table in
memory, before and after the build; the mean of both counts. Writes one JSON row into benchmarks/results/ and prints it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
CHANGES = 10_000
READERS = (1, 2, 4)


def main() -> None:
    """Measure all parts, write the row, print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("triples", type=Path)
    parser.add_argument("questions", type=Path)
    parser.add_argument("--work", type=Path, help="where to put the index; it is deleted at the end unless named")
    parser.add_argument("--out", type=Path, help="default: benchmarks/results/index-scale-NAME.json")
    arguments = parser.parse_args()
    name = arguments.triples.name.split(".")[0]
    with tempfile.TemporaryDirectory(dir=arguments.triples.parent) as temporary:
        index = (arguments.work or Path(temporary)) / "index"
        row = described(arguments.triples) | measure(arguments.triples, arguments.questions, index)
    out = arguments.out or HERE / "results" / f"index-scale-{name}.json"
    text = json.dumps(row, ensure_ascii=False, indent=1)
    out.write_text(text + "\n", encoding="utf-8")
    print(text)


def described(triples: Path) -> dict[str, Any]:
    """Say what was run, on what."""
    return {
        "command": " ".join(["python", *sys.argv]),
        "commit": subprocess.run(
            ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False
        ).stdout.strip(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "data": triples.name,
    }


def measure(triples: Path, questions: Path, index: Path) -> dict[str, Any]:
    """Run the parts one after the other."""
    floor = [part("floor", triples)["seconds"]]
    build = part("build", triples, index)
    floor.append(part("floor", triples)["seconds"])
    plain = statistics.mean(floor)
    size = triples.stat().st_size
    return {
        "plain_read_seconds": floor,
        "build": build
        | {"to_plain_read": round(build["seconds"] / plain, 1), "folder_to_file": round(build["bytes"] / size, 2)},
        "open_and_ask": part("ask", index, questions),
        "look_ups": part("look_up", index, questions),
        "fuzzy_names": part("fuzzy", index),
        "readers": {
            kind: {str(n): part(kind, index, questions, n)["questions_per_second"] for n in READERS}
            for kind in ("threads", "processes")
        },
        f"{CHANGES}_changes": part("change", triples, index, CHANGES),
    }


def part(name: str, *arguments: object) -> dict[str, Any]:
    """Run one part in a process of its own; gives its figures and its peak memory."""
    command = [sys.executable, HERE / "index_scale_parts.py", name, *map(str, arguments)]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, check=True, env=os.environ | {"PYTHONPATH": str(HERE.parent)}
    )
    figures: dict[str, Any] = json.loads(done.stdout)
    print(f"{name}: {figures}", file=sys.stderr)
    return figures


def percentiles(milliseconds: Sequence[float]) -> dict[str, float]:
    """The median, the 99th percentile and the largest of some times."""
    cuts = statistics.quantiles(milliseconds, n=100)
    return {"p50": round(cuts[49], 2), "p99": round(cuts[98], 2), "max": round(max(milliseconds), 1)}


def resident_megabytes() -> float:
    """The resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return round(pages * resource.getpagesize() / 1e6)


if __name__ == "__main__":
    main()
