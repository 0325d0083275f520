"""What feedback is worth: people judge answers, and the same and similar questions are asked again.

    python benchmarks/feedback.py ../shared/data/nlpcc2016/nlpcc-iccpol-2016.kbqa.training-data \
        --index runs/nlpcc2016/index-default

The questions are of the task's training file, whose index has the ranker that is shipped and that saw none of them.
`repeated` are drawn at random; `similar` ask for an attribute that one of these asks for, and are never judged. 20
people judge answers to the repeated questions one by one, as they are told at that moment, each person a question once
at most. A right answer is rated good; of a wrong one half the people say what is right, and half only that it is bad.
A share of the pieces, drawn at random, is wrong: a wrong answer is rated good, a right one bad, half of the time with
another candidate as correction. An answer is right if its first value is a gold one, exactly; silence is wrong.

Writes benchmarks/results/feedback.json: for each share of wrong pieces and each number of pieces the accuracy and what
it gained, with 95 % intervals over questions.
"""

from __future__ import annotations

import argparse
import logging
import random
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from recording import record

from eval.uncertainty import bootstrap_intervals
from kbqa_agent import Answer, KBQAgent, QAExample
from kbqa_agent.features import attribute_of
from kbqa_agent.feedback_texts import text_key
from kbqa_agent.qa_data import comparable, read_questions

PEOPLE = 20
PIECES = (100, 1000)
WRONG = (0.0, 0.05, 0.2)


def main() -> None:
    """Draw the questions, simulate each share of wrong pieces, write the figures."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("questions", type=Path, help="the task's training file")
    options.add_argument("--index", type=Path, required=True, help="index with the shipped ranker")
    options.add_argument("--repeated", type=int, default=300)
    options.add_argument("--similar", type=int, default=1000)
    options.add_argument("--seed", type=int, default=0)
    args = options.parse_args()
    logging.getLogger("kbqa_agent").setLevel(logging.ERROR)
    repeated, similar = draw(read_questions(args.questions), args.repeated, args.similar, args.seed)
    with KBQAgent.open(args.index, model="none") as agent:
        before = right(agent, repeated), right(agent, similar)
        rows = [row(before, before, wrong=None, pieces=0)]
        for wrong in WRONG:
            with tempfile.TemporaryDirectory() as folder:
                agent.use_feedback(Path(folder) / "feedback.sqlite")
                crowd = Crowd(agent, repeated, wrong, random.Random(args.seed))
                for pieces in PIECES:
                    crowd.give(pieces)
                    rows.append(row((right(agent, repeated), right(agent, similar)), before, wrong, pieces))
                    print(rows[-1], flush=True)
                agent.use_feedback(None)
    figures = {"n_repeated": len(repeated), "n_similar": len(similar), "people": PEOPLE, "rows": rows}
    record("feedback", figures, f"{args.questions.name}, {args.index.name}")


def draw(
    examples: Sequence[QAExample], n_repeated: int, n_similar: int, seed: int
) -> tuple[list[QAExample], list[QAExample]]:
    """Questions that are judged and asked again, and others that ask for an attribute that one of these asks for."""
    examples = [e for e in examples if e.triple and e.answers]
    random.Random(seed).shuffle(examples)
    repeated = examples[:n_repeated]
    asked = {attribute_of(e.triple[1]) for e in repeated if e.triple}
    known = {comparable(e.question) for e in repeated}
    similar = [e for e in examples[n_repeated:] if e.triple and attribute_of(e.triple[1]) in asked]
    return repeated, [e for e in similar if comparable(e.question) not in known][:n_similar]


@dataclass
class Crowd:
    """People who judge the answers of an agent, of which the share `wrong` of all judgements is wrong."""

    agent: KBQAgent
    examples: Sequence[QAExample]
    wrong: float
    chance: random.Random
    given: int = 0
    waiting: list[tuple[int, int]] = field(default_factory=list)

    def give(self, until: int) -> None:
        """Judge answers until so many pieces were given since the beginning."""
        while self.given < until:
            if not self.waiting:
                self.waiting = self.round()
            number, person = self.waiting.pop()
            self.judge(self.examples[number], f"person {person}")
            self.given += 1

    def round(self) -> list[tuple[int, int]]:
        """Each question once, in random order, before a person who did not judge it."""
        turn = self.given // len(self.examples)
        people = [random.Random(n).sample(range(PEOPLE), PEOPLE)[turn] for n in range(len(self.examples))]
        return self.chance.sample(list(enumerate(people)), len(people))

    def judge(self, example: QAExample, user: str) -> None:
        """Ask a question and judge its answer; each call is one piece of feedback."""
        answer = self.agent.ask(example.question)
        correct, errs = is_right(answer, example), self.chance.random() < self.wrong
        if answer.text is None:
            others = [c.answer for c in answer.candidates]
            correction = self.chance.choice(others) if errs and others else example.answers[0]
            self.agent.give_feedback(answer, "bad", correction, user=user)
        elif correct != errs:
            self.agent.give_feedback(answer, "good", user=user)
        else:
            others = [c.answer for c in answer.candidates if c.answer not in (answer.text, *answer.values)]
            better = self.chance.choice(others) if errs and others else example.answers[0]
            corrects = self.chance.random() < 0.5 and text_key(better) != text_key(answer.text)
            self.agent.give_feedback(answer, "bad", better if corrects else None, user=user)


def right(agent: KBQAgent, examples: Sequence[QAExample]) -> NDArray[np.float64]:
    """Whether each question is answered right, (n_questions,)."""
    return np.array([is_right(agent.ask(e.question), e) for e in examples], np.float64)


def is_right(answer: Answer, example: QAExample) -> bool:
    """Whether the first value is a gold answer, exactly but for runs of white space."""
    return answer.text is not None and comparable(answer.text) in set(map(comparable, example.answers))


def row(
    after: Sequence[NDArray[np.float64]], before: Sequence[NDArray[np.float64]], wrong: float | None, pieces: int
) -> dict[str, Any]:
    """The accuracies after some pieces of feedback, and their gains over none."""
    found: dict[str, Any] = {"wrong_share": wrong, "pieces": pieces}
    for name, now, then in zip(("repeated", "similar"), after, before, strict=True):
        ends = bootstrap_intervals(np.stack([now, now - then], axis=1)).round(4).tolist()
        found[name] = {
            "accuracy": round(float(now.mean()), 4),
            "interval": ends[0],
            "gain": round(float((now - then).mean()), 4),
            "gain_interval": ends[1],
            "mended": int(((now - then) > 0).sum()),
            "broken": int(((now - then) < 0).sum()),
        }
    return found


if __name__ == "__main__":
    started = time.perf_counter()
    main()
    print(f"{time.perf_counter() - started:.0f} seconds")
