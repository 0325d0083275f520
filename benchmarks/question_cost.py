"""What a question costs by the size of the knowledge base: processor time, and the triples that are looked at.

    python benchmarks/question_cost.py --questions test.nlpcc --index bench-index --index full-index

Each index answers the same drawn questions by its ranker alone, in one process (`ask_many`), after as many others.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from recording import record

from kbqa_agent import KBQAgent
from kbqa_agent.qa_data import draw, read_questions


def cost(index: Path, questions: list[str]) -> dict[str, Any]:
    """Processor milliseconds and triples of a question, in the mean; the first half only warms up."""
    with KBQAgent.open(index, model="none") as agent:
        half = len(questions) // 2
        list(agent.ask_many(questions[:half], processes=1))
        began, wall = time.process_time(), time.perf_counter()
        list(agent.ask_many(questions[half:], processes=1))
        used, lasted = time.process_time() - began, time.perf_counter() - wall
        looked_at = [len(ranked.triples) for ranked in agent.rank_many(questions[half:])]
        counts = agent.kb.manifest.counts
    return {
        "triples": counts.triples,
        "entities": counts.entities,
        "questions": len(looked_at),
        "processor_ms": round(1000 * used / len(looked_at), 2),
        "wall_ms": round(1000 * lasted / len(looked_at), 2),
        "triples_looked_at": round(sum(looked_at) / len(looked_at)),
    }


def main() -> None:
    """Measure, and write results/question-cost.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=Path, required=True)
    parser.add_argument("--index", type=Path, action="append", required=True)
    parser.add_argument("--drawn", type=int, default=1000)
    options = parser.parse_args()
    questions = [example.question for example in draw(read_questions(options.questions), options.drawn, seed=0)]
    found = {index.name: cost(index, questions) for index in options.index}
    record("question-cost", {"indexes": found}, f"{options.drawn} of {options.questions.name}")


if __name__ == "__main__":
    main()
