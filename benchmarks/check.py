"""Run the commands of expected.toml and tell which scores are not as expected.

    python benchmarks/check.py --data ../shared/data/nlpcc2016 --work runs/benchmark [--only lexical ...]

`make benchmark` does it. An evaluation that was stopped goes on; what another run of the same commands left in the
work folder is made again. Status 1 where a score is further off than its tolerance.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

EXPECTED = Path(__file__).parent / "expected.toml"


def main() -> None:
    """Run, compare, and exit."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", type=Path, required=True, help="folder of the task's files")
    options.add_argument("--work", type=Path, required=True, help="folder for indexes and reports")
    options.add_argument("--only", nargs="*", help="names of benchmarks; default: all")
    args = options.parse_args()
    listed = tomllib.loads(EXPECTED.read_text(encoding="utf-8"))["benchmark"]
    if unknown := set(args.only or ()) - {benchmark["name"] for benchmark in listed}:
        options.error(f"--only {' '.join(sorted(unknown))}: not in {EXPECTED}")
    off = 0
    for benchmark in listed:
        if args.only is None or benchmark["name"] in args.only:
            places = {"data": shlex.quote(str(args.data)), "work": shlex.quote(str(args.work))}
            metrics = run(benchmark["command"].format(**places))
            for line, is_right in compared(benchmark, metrics):
                off += not is_right
                print(line, flush=True)
    print(f"{off} scores are not as expected" if off else "all scores are as expected")
    sys.exit(1 if off else 0)


def run(command: str) -> Mapping[str, float]:
    """Run one `kbqa` command, and give the metrics that it reports; none if it is no evaluation."""
    words = shlex.split(command)
    print("$ kbqa", command, flush=True)
    subprocess.run([sys.executable, "-m", "cli", *words], check=True, stdout=subprocess.DEVNULL)
    if words[0] != "eval":
        return {}
    report = json.loads(Path(words[words.index("--out") + 1], "report.json").read_text(encoding="utf-8"))
    metrics: Mapping[str, float] = report["metrics"]
    return metrics


def compared(benchmark: Mapping[str, Any], metrics: Mapping[str, float]) -> Iterator[tuple[str, bool]]:
    """Tell of each expected score what it is, and whether it is as expected."""
    tolerance = benchmark.get("tolerance", 0.0)
    for metric, expected in benchmark.get("expected", {}).items():
        is_right = abs(metrics[metric] - expected) <= tolerance
        verdict = "as expected" if is_right else f"EXPECTED {expected:.4f} within {tolerance:g}"
        yield f"  {benchmark['name']:12} {metric:12} {metrics[metric]:.4f}  {verdict}", is_right


if __name__ == "__main__":
    main()
