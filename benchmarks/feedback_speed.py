"""What feedback costs a question: the time to heed it with 10,000 pieces in the file, and with none.

    python benchmarks/feedback_speed.py ../shared/data/nlpcc2016/nlpcc-iccpol-2016.kbqa.training-data \
        --index runs/nlpcc2016/index-default

The pieces are of 20 people, on training questions of the task, half of them good and half corrected to another
attribute; their answers are made up, as nobody is asked. Times are milliseconds of the processor, of `heed` alone, on
other questions with the candidates that the agent has for them. Writes benchmarks/results/feedback-speed.json.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from recording import record

from kb_index.types import Entity, Triple
from kbqa_agent import Answer, Feedback, FeedbackStore, KBQAgent, QAExample
from kbqa_agent.feedback_effect import FeedbackEffect
from kbqa_agent.feedback_records import Shown, System
from kbqa_agent.qa_data import read_questions
from kbqa_agent.types import Candidate, EntityMention

PEOPLE = 20


def main() -> None:
    """Fill a store, and time it."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("questions", type=Path, help="the task's training file")
    options.add_argument("--index", type=Path, required=True)
    options.add_argument("--pieces", type=int, default=10_000)
    options.add_argument("--asked", type=int, default=300)
    args = options.parse_args()
    examples = [e for e in read_questions(args.questions) if e.triple and e.answers and name_in(e)]
    with KBQAgent.open(args.index, model="none") as agent:
        answers = [agent.ask(e.question) for e in examples[-args.asked :]]
    with tempfile.TemporaryDirectory() as folder, FeedbackStore(Path(folder) / "feedback.sqlite") as store:
        empty = milliseconds(FeedbackEffect(store, 0.15), answers)
        started = time.perf_counter()
        for number, example in enumerate(examples[: args.pieces]):
            judge(store, example, f"person {number % PEOPLE}", good=number % 2 == 0)
        seconds = time.perf_counter() - started
        effect = FeedbackEffect(store, 0.15)
        started = time.process_time()
        effect.heed("", (), (), ())
        loading = time.process_time() - started
        full = milliseconds(effect, answers)
        size = store.path.stat().st_size
    figures = {
        "pieces": args.pieces,
        "asked": len(answers),
        "heed_ms_without_feedback": empty,
        "heed_ms": full,
        "load_all_seconds": round(loading, 3),
        "added_a_second": round(args.pieces / seconds, 1),
        "megabytes": round(size / 1e6, 1),
    }
    record("feedback-speed", figures, f"{args.questions.name}, {args.index.name}")


def name_in(example: QAExample) -> str:
    """The name of the gold triple's subject where the question has it, or nothing."""
    name = example.triple[0].split("(")[0].strip() if example.triple else ""
    return name if name in example.question else ""


def judge(store: FeedbackStore, example: QAExample, user: str, good: bool) -> None:
    """Keep one piece on a made-up answer: the gold one is good, one of another attribute is corrected to it."""
    assert example.triple
    name, start = name_in(example), example.question.index(name_in(example))
    right = Candidate(example.triple[2], 0.6, (Triple(1, *example.triple, 1),))
    wrong = Candidate("错", 0.3, (Triple(2, name, "别的属性", "错", 1),))
    mention = EntityMention(name, start, start + len(name), (Entity(1, name),))
    shown = Shown((right, wrong), (mention,), (), "", System("none", None, None))
    given = Feedback(example.question, right.answer, "good")
    if not good and len(right.answer) < 1000:
        given = Feedback(example.question, "错", "bad", right.answer)
    store.add(given, shown, user)


def milliseconds(effect: FeedbackEffect, answers: Sequence[Answer]) -> dict[str, float]:
    """Median, mean and 99th percentile of the processor's time for one question."""
    times = []
    for answer in answers:
        started = time.process_time()
        effect.heed(answer.question, answer.candidates, answer.mentions, ())
        times.append(1000 * (time.process_time() - started))
    return {
        "median": round(float(np.median(times)), 3),
        "mean": round(float(np.mean(times)), 3),
        "p99": round(float(np.quantile(times, 0.99)), 3),
    }


if __name__ == "__main__":
    main()
