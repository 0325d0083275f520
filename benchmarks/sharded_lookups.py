"""Measure what a question takes from an index in one folder, from one in shards here, and from Ray's actors.

    python benchmarks/sharded_lookups.py --data ../shared/data/nlpcc2016 --index runs/nlpcc2016/index \
        --one-shard INDEX --sharded INDEX

`--one-shard` and `--sharded` hold the same triples in shards (kbqa index ... --shards 1, --shards 4). All are asked by
the ranker of `--index` alone, one question at a time and in batches of one process. They take turns over parts of the
questions, in an order that changes with each turn, so that what else the machine does meets all alike. Every answer is
compared with that of the one folder. Gives milliseconds a question, and the median of the turns' ratios to the one
folder with the lowest and the highest; `processor_ms` are those of this process alone. Writes
benchmarks/results/sharded-lookups.json.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from recording import record

from kb_index import KnowledgeBase
from kbqa_agent import KBQAgent
from kbqa_agent.qa_data import draw, read_questions

TEST = "nlpcc-iccpol-2016.kbqa.testing-data"
SEED = 0
WARM_UP = 100


def main() -> None:
    """Take turns, and record the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the task's files")
    parser.add_argument("--index", type=Path, required=True)
    parser.add_argument("--sharded", type=Path, required=True, help="an index of the same sources in shards")
    parser.add_argument("--one-shard", type=Path, required=True, help="one in a single shard")
    parser.add_argument("--turns", type=int, default=6)
    parser.add_argument("--questions", type=int, default=150, help="of a turn")
    options = parser.parse_args()
    examples = draw(read_questions(options.data / TEST, "auto"), WARM_UP + options.questions * options.turns, SEED)
    questions = [example.question for example in examples]
    with ExitStack() as opened:
        bases = {
            "one_folder": opened.enter_context(KnowledgeBase.open(options.index)),
            "one_shard_here": opened.enter_context(KnowledgeBase.open(options.one_shard)),
            "shards_here": opened.enter_context(KnowledgeBase.open(options.sharded)),
            "ray_actors": opened.enter_context(KnowledgeBase.open(options.sharded, engine="ray")),
        }
        agents = {name: KBQAgent.open(kb, "none", ranker=options.index / "ranker") for name, kb in bases.items()}
        for agent in agents.values():
            agent.kb.preload()
            list(agent.ask_many(questions[:WARM_UP], 1))
        gc.freeze()
        parts = (questions[WARM_UP:][i :: options.turns] for i in range(options.turns))
        rows = [turn(agents, part, i) for i, part in enumerate(parts)]
        gc.unfreeze()
        n_shards = len(bases["shards_here"].manifest.shards)
    asked = {"questions": options.questions * options.turns, "shards": n_shards, "load": round(os.getloadavg()[1], 1)}
    record("sharded-lookups", asked | summary(rows), f"{TEST}, index {options.index.name}")


def turn(agents: Mapping[str, KBQAgent], questions: list[str], number: int) -> dict[str, dict[str, float]]:
    """Ask the same questions in each way, and give the milliseconds of each."""
    order = list(agents) if number % 2 == 0 else list(reversed(agents))
    found: dict[str, dict[str, float]] = {name: {} for name in agents}
    answers: dict[tuple[str, str], list[object]] = {}
    for name in order:
        for way in ("ask", "ask_many"):
            agent, started, used = agents[name], time.perf_counter(), time.process_time()
            told = list(map(agent.ask, questions)) if way == "ask" else list(agent.ask_many(questions, 1))
            per_question = 1000 / len(questions)
            found[name][f"{way}_ms"] = (time.perf_counter() - started) * per_question
            found[name][f"{way}_processor_ms"] = (time.process_time() - used) * per_question
            answers[name, way] = [replace(answer, timings={}) for answer in told]
    if any(told != answers["one_folder", "ask"] for told in answers.values()):
        raise SystemExit("shards and one folder gave different answers")
    print({name: round(of["ask_ms"], 2) for name, of in found.items()}, flush=True)
    return found


def summary(rows: list[dict[str, dict[str, float]]]) -> dict[str, Any]:
    """The means of all turns, and the ratios to the one folder."""
    found: dict[str, Any] = {}
    for name in rows[0]:
        found[name] = {figure: round(statistics.mean(r[name][figure] for r in rows), 2) for figure in rows[0][name]}
        for way in ("ask", "ask_many"):
            ratios = [r[name][f"{way}_ms"] / r["one_folder"][f"{way}_ms"] for r in rows]
            found[name][f"{way}_ratio"] = [round(f(ratios), 2) for f in (statistics.median, min, max)]
    return found


if __name__ == "__main__":
    main()
