"""What larger knowledge bases would take, worked out from what was measured on one machine: tables of docs/scaling.md.

    python benchmarks/projections.py [--processor-hour 0.04] [--gigabyte-month 0.08] [--per-shard 50]

Reads benchmarks/results/: sharding.json (builds), index-scale-full.json (43 million triples), question-cost.json (two
sizes), sharded-lookups.json (what a shard more costs a question) and finetune-speed-training.json. Prices are
arguments, not measurements. Nothing here was run at these sizes: docs/scaling.md says what would break first.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any, NamedTuple

RESULTS = Path(__file__).parent / "results"
SIZES = (43_000_000, 1_000_000_000, 10_000_000_000)
RATES = (1, 1000)
PROCESSORS = 64
BUSY = 0.6
"""Servers are given so much to do that their processors work for this share of the time."""
PLACE_BYTES = 32
"""What the merge of a build keeps in memory for each entity."""


class Costs(NamedTuple):
    """What was measured."""

    build_seconds: float  # of a processor, a million triples
    merge_seconds: float  # of the one that puts the shards together, a million triples
    bytes_per_triple: float
    entities_per_triple: float
    question_ms: float  # of a processor, at `triples`
    triples: int
    exponent: float  # by which a question's cost grows with the triples
    shard_ms: float  # of a processor, what a question costs more for each shard more
    tokens_per_second: float


def measured() -> Costs:
    """Read the results."""
    sharding, full, questions, look_ups, training = map(
        _read, ("sharding", "index-scale-full", "question-cost", "sharded-lookups", "finetune-speed-training")
    )
    built = sharding["turns"][-1]["ray_4_shards"]
    millions = built["counts"]["triples"] / 1e6
    small, large = sorted(questions["indexes"].values(), key=lambda row: row["triples"])
    grown = math.log(large["processor_ms"] / small["processor_ms"]) / math.log(large["triples"] / small["triples"])
    more = look_ups["shards_here"]["ask_many_processor_ms"] - look_ups["one_folder"]["ask_many_processor_ms"]
    return Costs(
        built["build_processor_seconds"] / millions,
        (built["stages"]["merge"] + built["stages"]["encoder"]) / millions,
        full["build"]["bytes"] / full["build"]["triples"],
        full["build"]["entities"] / full["build"]["triples"],
        large["processor_ms"],
        large["triples"],
        grown,
        more / (look_ups["shards"] - 1),
        training["tokens_per_second"],
    )


def _read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return found


def row(costs: Costs, triples: int, options: argparse.Namespace) -> dict[str, str]:
    """Project one size."""
    shards = math.ceil(triples / (options.per_shard * 1e6))
    hours = costs.build_seconds * triples / 1e6 / 3600
    wall = hours / min(PROCESSORS, shards) + costs.merge_seconds * triples / 1e6 / 3600
    gigabytes = costs.bytes_per_triple * triples / 1e9
    question = costs.question_ms * (triples / costs.triples) ** costs.exponent + costs.shard_ms * (shards - 1)
    found = {
        "triples": f"{triples / 1e6:,.0f} M",
        "shards": f"{shards:,}",
        "build, processor hours": f"{hours:,.1f}",
        f"build, hours on {PROCESSORS} processors": f"{wall:,.1f}",
        "memory of the merge, GB": f"{PLACE_BYTES * costs.entities_per_triple * triples / 1e9:,.1f}",
        "disk, GB": f"{gigabytes:,.0f}",
        "money to build": f"${hours * options.processor_hour:,.2f}",
        "disk a month": f"${gigabytes * options.gigabyte_month:,.2f}",
        "a question, processor ms": f"{question:,.0f}",
    }
    for rate in RATES:
        processors = question / 1000 * rate / BUSY
        month = max(1, math.ceil(processors)) * options.processor_hour * 730
        found[f"processors for {rate:,}/s"] = f"{processors:,.1f} (${month:,.0f} a month)"
    return found


def main() -> None:
    """Print what was measured, and the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processor-hour", type=float, default=0.04, help="price of a processor for an hour")
    parser.add_argument("--gigabyte-month", type=float, default=0.08, help="price of a gigabyte of disk for a month")
    parser.add_argument("--per-shard", type=float, default=50, help="million triples of a shard")
    options = parser.parse_args()
    costs = measured()
    for name, value in costs._asdict().items():
        print(f"{name}: {value:,.4g}")
    rows = [row(costs, triples, options) for triples in SIZES]
    print("\n| |" + "|".join(found["triples"] for found in rows) + "|\n|---|" + "---:|" * len(rows))
    for name in list(rows[0])[1:]:
        print(f"| {name} | " + " | ".join(found[name] for found in rows) + " |")


if __name__ == "__main__":
    main()
