"""Measure what shards and Ray cost: the same sources become an index in five ways.

    python benchmarks/sharding.py ../shared/data/nlpcc2016/bench.kbqa.kb [--turns 1]

In one folder; in 1 and in 4 shards by the local engine, and by Ray on this machine alone. Each way is a program of its
own. Gives the wall and processor seconds of the start and of the build, of all processes, Ray's daemons among them, and
what each stage took. All ways must count the same triples. Writes benchmarks/results/sharding.json, with the machine's
load (the mean of a minute) before each way.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from kb_index import Manifest, build_index
from kb_index.shards.build import ShardedBuild
from kb_index.shards.engines import open_engine

WAYS = {
    "one_folder": ("local", 0),
    "local_1_shard": ("local", 1),
    "local_4_shards": ("local", 4),
    "ray_1_shard": ("ray", 1),
    "ray_4_shards": ("ray", 4),
}
"""Engine, and how many shards."""


def main() -> None:
    """Build in each way, and record them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--way", choices=WAYS, help="do this one here; what the others are run by")
    options = parser.parse_args()
    if options.way:
        build(options.source, *WAYS[options.way])
        return
    from recording import record

    turns = [{way: measured(way, options.source) for way in options.ways} for _ in range(options.turns)]
    if len({json.dumps(row["counts"]) for turn in turns for row in turn.values()}) > 1:
        raise SystemExit("the ways counted different things")
    record("sharding", {"turns": turns}, options.source.name)


def measured(way: str, source: Path) -> dict[str, Any]:
    """Build in one way, and give its seconds."""
    from processor_time import laps

    load, wall = os.getloadavg()[0], [time.perf_counter()]
    processor, told = [0.0], ""
    for lap in laps([sys.executable, __file__, str(source), "--way", way]):
        wall.append(time.perf_counter())
        processor.append(lap.processor_seconds)
        told = told or lap.line.partition("built ")[2]
    row = {
        f"{phase}_{kind}_seconds": round(seconds[number + 1] - seconds[number], 2)
        for number, phase in enumerate(("start", "build"))
        for kind, seconds in (("wall", wall), ("processor", processor))
    }
    print(way, row, flush=True)
    return {**row, "load_before": round(load, 1), **json.loads(told)}


def build(source: Path, engine: str, shards: int) -> None:
    """Build in one way, and print a line when the engine has started, and one when the index is there."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        opened = stack.enter_context(open_engine(engine, "local"))
        print("started", flush=True)
        out = Path(folder) / "index"
        if shards:
            manifest = ShardedBuild(shards, opened, progress=False).run([source], out)
        else:
            manifest = build_index([source], out, progress=False)
        print("built", json.dumps(figures(manifest, out)), flush=True)


def figures(manifest: Manifest, out: Path) -> dict[str, Any]:
    """Give what was built, its size and the wall seconds of the stages."""
    counts = {name: getattr(manifest.counts, name) for name in ("triples", "entities", "attributes", "aliases")}
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    return {"counts": counts, "bytes": size, "stages": {name: cost.seconds for name, cost in manifest.stages.items()}}


if __name__ == "__main__":
    main()
