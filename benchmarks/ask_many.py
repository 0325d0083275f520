"""Measure how many questions a second `ask_many` answers, against `ask` in a loop over the same questions.

    python benchmarks/ask_many.py --data ../shared/data/nlpcc2016 --index runs/nlpcc2016/index [--only never ...]

Both take turns over parts of the questions, in an order that changes with each turn, so that what else the machine does
meets both alike. `never` is the ranker alone, in several processes (which have started before) and in one; `unsure` and
`always` ask the embedded generator. Gives questions a second of both, and the median of the turns' ratios with the
lowest and the highest. Every answer is compared with the other ways': without a generator they must be equal; with one
it says how many texts differ, and by how much confidences do at most, since some processors' bfloat16 products depend
on the number of threads. Writes benchmarks/results/ask-many.json.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from recording import record

from kbqa_agent import AgentConfig, Answer, KBQAgent
from kbqa_agent.qa_data import draw, read_questions

TEST = "nlpcc-iccpol-2016.kbqa.testing-data"
SEED = 0
WARM_UP = 120

Way = Callable[[list[str]], Iterable[Answer]]


def main() -> None:
    """Measure each use of the generator, and record them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the task's files")
    parser.add_argument("--index", type=Path, required=True)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--turns", type=int, default=6)
    parser.add_argument("--questions", type=int, default=500, help="of a turn without generator; a tenth with one")
    parser.add_argument("--only", nargs="*", default=["never", "unsure", "always"])
    options = parser.parse_args()
    examples = read_questions(options.data / TEST, "auto")
    questions = list(dict.fromkeys(e.question for e in draw(examples, options.questions * (options.turns + 1), SEED)))
    figures = {use: measured(use, questions, options) for use in options.only}
    record("ask-many", {"questions_per_second": figures}, f"{TEST}, index {options.index.name}")


def measured(use: Any, questions: list[str], options: argparse.Namespace) -> dict[str, Any]:
    """Take turns with one use of the generator."""
    model = "none" if use == "never" else None
    n = options.questions if use == "never" else options.questions // 10
    with KBQAgent.open(options.index, model=model, config=AgentConfig(generator=use)) as agent:
        agent.kb.preload()
        gc.freeze()
        ways: dict[str, Way] = {
            "ask": lambda asked: map(agent.ask, asked),
            "ask_many": lambda asked: agent.ask_many(asked, options.processes),
            **({"ask_many_in_one_process": lambda asked: agent.ask_many(asked, 1)} if use == "never" else {}),
        }
        warm = questions[: WARM_UP if use == "never" else WARM_UP // 12]
        for way in [*ways.values()] * 2:  # a process that starts late opens its index in the second round
            list(way(warm))
        parts = [questions[WARM_UP + i * n : WARM_UP + (i + 1) * n] for i in range(options.turns)]
        rows, answers = zip(*(turn(ways, part, i) for i, part in enumerate(parts)), strict=True)
        gc.unfreeze()
    found = differences(answers)
    if use == "never" and any(found.values()):
        raise SystemExit(f"ask_many and ask gave different answers: {found}")
    return {"questions": n * options.turns, "processes": options.processes} | summary(rows) | found


def turn(ways: dict[str, Way], questions: list[str], number: int) -> tuple[dict[str, float], dict[str, list[Answer]]]:
    """Ask the same questions in each way, and give the seconds of each and its answers."""
    order = list(ways) if number % 2 == 0 else list(reversed(ways))
    seconds, answers = {}, {}
    for name in order:
        started = time.perf_counter()
        answers[name] = [replace(answer, timings={}) for answer in ways[name](questions)]
        seconds[name] = (time.perf_counter() - started) / len(questions)
    print({name: round(1 / value, 2) for name, value in seconds.items()}, flush=True)
    return seconds, answers


def differences(turns: Sequence[dict[str, list[Answer]]]) -> dict[str, float]:
    """How often another way gave another answer than `ask`, another text, and how far confidences are apart at most."""
    pairs = [(a, b) for of in turns for name in of for a, b in zip(of["ask"], of[name], strict=True)]
    return {
        "other_answers": sum(a != b for a, b in pairs),
        "other_texts": sum(a.text != b.text for a, b in pairs),
        "confidence_apart": round(max(abs(a.confidence - b.confidence) for a, b in pairs), 4),
    }


def summary(rows: Sequence[dict[str, float]]) -> dict[str, Any]:
    """The questions a second of all turns, and the ratios to `ask`."""
    found: dict[str, Any] = {name: round(1 / statistics.mean(row[name] for row in rows), 2) for name in rows[0]}
    for name in list(rows[0])[1:]:
        ratios = [row["ask"] / row[name] for row in rows]
        found[f"{name}_ratio"] = [round(f(ratios), 2) for f in (statistics.median, min, max)]
    return found


if __name__ == "__main__":
    main()
