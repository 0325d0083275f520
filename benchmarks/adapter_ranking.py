"""Measure how often the generator ranks the right object first among the objects of the triples in its prompt.

    python benchmarks/adapter_ranking.py [--adapter DIR|none] [--questions 200] [--source synthetic|sample]

Each prompt holds 10 triples of one entity, in random order (filled up from others where it has fewer); their distinct
objects are the candidates. The made-up entities come from a seed that no training uses. Prints one JSON row: the share
of right firsts by summed log-likelihood, and by its mean over the answer's characters and end; and how often UNKNOWN
is likelier than every candidate, with and without the right object in the prompt.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from finetune.generated import questions_from_triples
from finetune.synthetic import synthetic_entities
from kb_index.types import Triple
from kbqa_agent.generation import load_generator, shipped_adapter
from kbqa_agent.prompts import UNKNOWN, answer_prompt, answer_text
from kbqa_agent.qa_data import read_questions
from kbqa_agent.sample import sample_test, sample_triples
from kbqa_agent.types import QAExample

HELD_OUT_SEED = 987_654
N_TRIPLES = 10


class Case(NamedTuple):
    """A prompt with the answer among its triples, the same without it, the candidates, and the right one's place."""

    prompt: str
    prompt_without: str
    candidates: list[str]
    right: int


def synthetic_cases(n: int) -> Iterator[Case]:
    """Ask about made-up entities that no training has seen."""
    entities = synthetic_entities(2 * n, HELD_OUT_SEED)
    triples = [triple for entity in entities for triple in entity]
    return cases(triples, questions_from_triples(triples, n, HELD_OUT_SEED))


def sample_cases(n: int) -> Iterator[Case]:
    """Ask the packaged sample's test questions."""
    lines = [line.split(" ||| ") for line in sample_triples().read_text(encoding="utf-8").splitlines()]
    ids = {subject: number for number, subject in enumerate(dict.fromkeys(line[0] for line in lines))}
    triples = [Triple(i, subject, p, o, ids[subject]) for i, (subject, p, o) in enumerate(lines)]
    questions = [question for question in read_questions(sample_test()) if question.triple]
    return cases(triples, random.Random(HELD_OUT_SEED).sample(questions, min(n, len(questions))))


def cases(triples: Sequence[Triple], questions: Sequence[QAExample]) -> Iterator[Case]:
    """Build a prompt of 10 triples for each question."""
    rng = random.Random(HELD_OUT_SEED)
    by_subject: dict[str, list[Triple]] = defaultdict(list)
    for triple in triples:
        by_subject[triple.subject].append(triple)
    for question in questions:
        subject, predicate, value = question.triple or ("", "", "")
        gold = [t for t in by_subject[subject] if t.predicate == predicate and t.object == value][:1]
        others = [t for t in by_subject[subject] if t.predicate != predicate and t.object != value]
        while len(others) < N_TRIPLES - 1:
            others += [t for t in rng.choice(list(by_subject.values())) if t.object not in question.answers]
        shown = gold + rng.sample(others, N_TRIPLES - 1)
        rng.shuffle(shown)
        shown.sort(key=lambda t: t.subject != subject)
        candidates = list(dict.fromkeys(answer_text(t.object) for t in shown))
        yield Case(
            answer_prompt(question.question, shown),
            answer_prompt(question.question, [t for t in shown if t not in gold]),
            candidates,
            candidates.index(answer_text(value)),
        )


def main() -> None:
    """Rank, count and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--adapter", default=shipped_adapter() or "none")
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--source", choices=("synthetic", "sample"), default="synthetic")
    options = parser.parse_args()
    generator = load_generator(options.model, options.adapter)
    counts: dict[str, list[float]] = defaultdict(list)
    start = time.perf_counter()
    make = synthetic_cases if options.source == "synthetic" else sample_cases
    for case in make(options.questions):
        scores = generator.score(case.prompt, [*case.candidates, UNKNOWN])
        lengths = np.array([len(candidate) + 1 for candidate in case.candidates])
        order = np.argsort(-scores[:-1], kind="stable")
        counts["first_by_sum"].append(float(order[0] == case.right))
        counts["first_by_mean"].append(float(np.argmax(scores[:-1] / lengths) == case.right))
        counts["mrr_by_sum"].append(1.0 / (1 + int(np.flatnonzero(order == case.right)[0])))
        counts["unknown_where_known"].append(float(scores[-1] > scores[:-1].max()))
        without = [c for i, c in enumerate(case.candidates) if i != case.right]
        scores = generator.score(case.prompt_without, [*without, UNKNOWN])
        counts["unknown_where_unknown"].append(float(scores[-1] > scores[:-1].max()))
    row = {"model": generator.name, "source": options.source, "n": len(counts["first_by_sum"])}
    print(
        json.dumps(
            row
            | {name: round(float(np.mean(values)), 4) for name, values in counts.items()}
            | {"seconds": round(time.perf_counter() - start, 1)}
        )
    )


if __name__ == "__main__":
    main()
