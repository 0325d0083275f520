"""Draw wrong answers of an evaluation to read them one by one, each with what is told of its kind without reading.

    python benchmarks/error_sample.py runs/nlpcc2016/trained QUESTIONS [--n 100] [--seed 0]

Kinds: the best triple is of the gold entity, of another of its name, or of another name; its attribute is the gold one
or another. All of them are counted; `n` are printed.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

from eval.errors import compared
from kbqa_agent.qa_data import comparable, read_questions
from kbqa_agent.types import QAExample


def main() -> None:
    """Count all errors by kind, and print some."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("report", type=Path, help="folder that `kbqa eval --out` wrote")
    options.add_argument("questions", type=Path, help="the question file of that evaluation")
    options.add_argument("--n", type=int, default=100)
    options.add_argument("--seed", type=int, default=0)
    args = options.parse_args()
    examples = {e.id: e for e in read_questions(args.questions)}
    lines = (args.report / "per_question.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [(examples[row["id"]], row) for row in map(json.loads, lines)]
    wrong = [(e, row, kind) for e, row in rows if (kind := kind_of(e, row))]
    for kind, count in Counter(kind for _, _, kind in wrong).most_common():
        print(f"{count:5} {count / len(rows):.2%}  {kind}")
    for e, row, kind in random.Random(args.seed).sample(wrong, min(args.n, len(wrong))):
        print(shown(e, row, kind))


def kind_of(example: QAExample, row: dict[str, Any]) -> str | None:
    """Say what the best triple has in common with the gold one; None where the first answer is right."""
    gold = {comparable(a) for a in example.answers}
    if example.triple is None or not row["candidates"]:
        return "no candidate"
    best = row["candidates"][0]
    if comparable(best["answer"]) in gold:
        return None
    whose, same = compared(example.triple, best["evidence"][0])
    return f"{whose}, {'gold' if same else 'other'} attribute"


def shown(example: QAExample, row: dict[str, Any], kind: str) -> str:
    """One error as one line: question, what was said, what is gold, and its rank."""
    gold = {comparable(a) for a in example.answers}
    ranks = [i for i, c in enumerate(row["candidates"], 1) if comparable(c["answer"]) in gold]
    best = row["candidates"][0] if row["candidates"] else None
    said = " | ".join(list(best["evidence"][0].values())[1:4])[:90] if best else "-"
    wanted = " | ".join(example.triple or example.answers)[:90]
    return (
        f"{example.id}\t[{kind}]\t{example.question}\tsaid: {said}\tgold ({ranks[0] if ranks else 'absent'}): {wanted}"
    )


if __name__ == "__main__":
    main()
