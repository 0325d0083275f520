"""Measure what Ray costs beside the local engine: `ask_many` of the same questions in four ways.

    python benchmarks/ray_engine.py --data ../shared/data/nlpcc2016 --index runs/bench [--questions 2000] [--turns 1]

By the ranker alone: one process, two of them, one worker of Ray and two. Each way is a program of its own, which opens
the index, answers some other questions, so that all processes are there, and then those that count. Gives the wall and
processor seconds of the start and of the questions, of all processes, Ray's daemons among them. All ways must give the
same answers. Writes benchmarks/results/ray-engine.json, with the machine's load (the mean of a minute) before each way.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from kb_index.ray_session import ray_session
from kbqa_agent import AgentConfig, KBQAgent
from kbqa_agent.qa_data import draw, read_questions
from kbqa_agent.ray_workers import open_over_ray
from kbqa_agent.recipe import AgentRecipe

TEST = "nlpcc-iccpol-2016.kbqa.testing-data"
SEED = 0
WARM_UP = 200
WAYS = {
    "local_1_process": ("local", 1),
    "local_2_processes": ("local", 2),
    "ray_1_worker": ("ray", 1),
    "ray_2_workers": ("ray", 2),
}
"""Engine, and how many processes or workers."""


def main() -> None:
    """Run each way, and record them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the task's files")
    parser.add_argument("--index", type=Path, required=True)
    parser.add_argument("--questions", type=int, default=2000)
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--way", choices=WAYS, help="do this one here; what the others are run by")
    options = parser.parse_args()
    if options.way:
        answer(options, *WAYS[options.way])
        return
    from recording import record

    turns = [{way: measured(way, options) for way in WAYS} for _ in range(options.turns)]
    if len({row["answers_sha256"] for turn in turns for row in turn.values()}) > 1:
        raise SystemExit("the ways gave different answers")
    record("ray-engine", {"questions": options.questions, "turns": turns}, f"{TEST}, index {options.index.name}")


def measured(way: str, options: argparse.Namespace) -> dict[str, Any]:
    """Run one way, and give its seconds."""
    from processor_time import laps

    load, wall = os.getloadavg()[0], [time.perf_counter()]
    processor, told = [0.0], ""
    given = ["--data", str(options.data), "--index", str(options.index), "--questions", str(options.questions)]
    for lap in laps([sys.executable, __file__, *given, "--way", way]):
        wall.append(time.perf_counter())
        processor.append(lap.processor_seconds)
        told = told or lap.line.partition("answered ")[2]
    row = {
        f"{phase}_{kind}_seconds": round(seconds[number + 1] - seconds[number], 2)
        for number, phase in enumerate(("start", "questions", "end"))
        for kind, seconds in (("wall", wall), ("processor", processor))
    }
    print(way, row, flush=True)
    return {**row, "load_before": round(load, 1), "answers_sha256": told}


def answer(options: argparse.Namespace, engine: str, n: int) -> None:
    """Answer the questions in one way, and print a line when all is started, and one when all is answered."""
    examples = draw(read_questions(options.data / TEST, "auto"), options.questions + WARM_UP, SEED)
    asked = [example.question for example in examples]
    digest = hashlib.sha256()
    with opened(options.index, engine, n) as agent:
        processes = n if engine == "local" else None
        list(agent.ask_many(asked[:WARM_UP], processes))
        print("started", flush=True)
        for given in agent.ask_many(asked[WARM_UP:], processes):
            digest.update(repr(replace(given, timings={})).encode())
        print("answered", digest.hexdigest(), flush=True)


@contextmanager
def opened(index: Path, engine: str, n: int) -> Iterator[KBQAgent]:
    """Open the agent of an engine with so many processes or workers."""
    recipe = AgentRecipe(index, AgentConfig())
    with ExitStack() as stack:
        if engine == "ray":
            stack.enter_context(ray_session("local"))
        agent = stack.enter_context(open_over_ray(recipe, n) if engine == "ray" else recipe.open())
        agent.kb.preload()
        gc.freeze()
        yield agent
        gc.unfreeze()


if __name__ == "__main__":
    main()
