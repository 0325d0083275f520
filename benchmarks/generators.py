"""The embedded generator fine-tuned and aligned on the reference task, each way to answer side by side.

    python benchmarks/generators.py train --data ../shared/data/nlpcc2016 --index INDEX --work runs/generators
    python benchmarks/generators.py test --data ../shared/data/nlpcc2016 --index INDEX --work runs/generators

`train` runs the `kbqa finetune` commands of `trainings`; what is finished is not done again. They see a few hundred
questions a stage, as a CPU can; `--all` takes every training question. `test` asks `--drawn` test questions, drawn at
random, of each adapter with the prompts of `ask`, and writes one row with the share of exactly right answers of each
way, its 95 % interval, and the paired difference to supervised fine-tuning alone. Answers are written in batches.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from recording import record
from tqdm import tqdm

from eval.uncertainty import bootstrap_intervals
from finetune.raft_prompts import RaftPrompt
from finetune.raft_samples import Drawn, majority
from kbqa_agent import KBQAgent
from kbqa_agent.generation import HuggingFaceGenerator, load_generator
from kbqa_agent.prompts import UNKNOWN, answer_prompt, answer_text, closed_book_prompt
from kbqa_agent.qa_data import comparable, draw, read_questions
from kbqa_agent.types import QAExample

TRAIN = "nlpcc-iccpol-2016.kbqa.training-data"
TEST = "nlpcc-iccpol-2016.kbqa.testing-data"
AT_ONCE = 16
SAMPLES = 8


def trainings(data: Path, index: Path, work: Path, on_all: bool) -> dict[str, list[str]]:
    """The commands by the name of the folder that each makes; with `on_all` every question, else a few hundred."""
    questions = ("--questions", str(data / TRAIN))
    retrieved = (*questions, "--index", str(index))
    few = () if on_all else ("--limit", "400", "--steps", "30")
    longer = () if on_all else ("--limit", "1200", "--steps", "60")
    drawn = ("--batch", "2048") if on_all else ("--batch", "256", "--limit", "3000")
    return {
        "sft": ["sft", *retrieved, *few],
        "closed-book": ["sft", *questions, "--closed-book", *longer],
        "raft": ["raft", *retrieved, "--adapter", str(work / "sft"), *drawn],
    }


def train(data: Path, index: Path, work: Path, on_all: bool) -> None:
    """Run the trainings that are not finished, each resumed where it was stopped."""
    for name, command in trainings(data, index, work, on_all).items():
        out = work / name
        if (out / "adapter_config.json").exists():
            continue
        resumed = ["--resume"] if out.exists() else []
        words = ["finetune", *command, "--out", str(out), *resumed]
        print("$ kbqa", *words, flush=True)
        subprocess.run([sys.executable, "-m", "cli", *words], check=True)


class Asked:
    """The drawn test questions, with the prompts that `ask` would write for them and the candidates of each."""

    def __init__(self, data: Path, index: Path, n: int) -> None:
        self.examples: list[QAExample] = draw(read_questions(data / TEST), n, seed=0)
        self.prompts: list[str] = []
        self.candidates: list[list[str]] = []
        with KBQAgent.open(index, model="none") as agent:
            for example in tqdm(self.examples, "retrieve", unit="question"):
                triples = agent.best_triples(example.question, agent.config.prompt_triples)
                self.prompts.append(answer_prompt(example.question, triples))
                self.candidates.append(list(dict.fromkeys(answer_text(t.object) for t in triples)))

    def right(self, answers: Sequence[str]) -> NDArray[np.float64]:
        """Which answers equal a gold answer, (n_questions,)."""
        golds = ([comparable(answer_text(a)) for a in e.answers] for e in self.examples)
        return np.array([comparable(answer) in gold for answer, gold in zip(answers, golds, strict=True)], np.float64)


def test(asked: Asked, work: Path) -> dict[str, NDArray[np.float64]]:
    """Answer in each way: which answers are right, (n_questions,), by the way's name."""
    found = {}
    for name in ("sft", "raft"):
        generator = load_generator(None, work / name)
        found[name] = asked.right(_in_batches(generator, asked.prompts, name))
        constrained = _in_batches(generator, asked.prompts, f"{name} constrained", asked.candidates)
        found[f"{name}, constrained"] = asked.right(constrained)
        if name == "sft":
            found[f"sft, best of {SAMPLES}"] = asked.right(_majority(generator, asked.prompts))
    closed = load_generator(None, work / "closed-book")
    prompts = [closed_book_prompt(e.question) for e in asked.examples]
    found["sft, closed book"] = asked.right(_in_batches(closed, prompts, "closed book"))
    return found


def _in_batches(
    generator: HuggingFaceGenerator, prompts: Sequence[str], name: str, among: Sequence[Sequence[str]] | None = None
) -> list[str]:
    answers: dict[int, str] = {}
    for at in _batches(prompts, name):
        choices = [[*among[i], UNKNOWN] for i in at] if among is not None else None
        answers |= zip(at, generator.generate([prompts[i] for i in at], among=choices), strict=True)
    return [answers[i] for i in range(len(prompts))]


def _majority(generator: HuggingFaceGenerator, prompts: Sequence[str]) -> list[str]:
    """The best of some samples of each prompt, told without any gold answer."""
    answers: dict[int, str] = {}
    for at in _batches(prompts, "best of samples"):
        for i, samples in zip(at, generator.sample([prompts[i] for i in at], SAMPLES), strict=True):
            texts, likelihoods, n_tokens = zip(*samples, strict=True)
            answers[i] = majority(Drawn(RaftPrompt(str(i), prompts[i], ()), texts, n_tokens, likelihoods))
    return [answers[i] for i in range(len(prompts))]


def _batches(prompts: Sequence[str], name: str) -> list[list[int]]:
    """The numbers of prompts of like length, `AT_ONCE` together."""
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    return list(tqdm([order[i : i + AT_ONCE] for i in range(0, len(order), AT_ONCE)], name, unit="batch"))


def figures(found: Mapping[str, NDArray[np.float64]]) -> dict[str, Any]:
    """The share of right answers of each way, and of each pair of ways that is asked about the paired difference."""
    ways = list(found)
    shares = np.column_stack([found[way] for way in ways])
    pairs = [("raft", "sft"), ("raft, constrained", "sft, constrained"), (f"sft, best of {SAMPLES}", "sft")]
    gains = np.column_stack([found[a] - found[b] for a, b in pairs])
    return {
        "exact_match": _with_intervals(ways, shares),
        "gains": _with_intervals([f"{a} over {b}" for a, b in pairs], gains),
    }


def _with_intervals(names: Sequence[str], values: NDArray[np.float64]) -> dict[str, dict[str, Any]]:
    rows = zip(names, values.mean(axis=0).tolist(), bootstrap_intervals(values).tolist(), strict=True)
    return {name: {"mean": round(mean, 4), "interval": [round(end, 4) for end in ends]} for name, mean, ends in rows}


def main() -> None:
    """Train or test."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("what", choices=["train", "test"])
    options.add_argument("--data", type=Path, required=True, help="folder of the task's files")
    options.add_argument("--index", type=Path, required=True, help="index of its triples, with a trained ranker")
    options.add_argument("--work", type=Path, required=True, help="folder for the adapters")
    options.add_argument("--all", action="store_true", help="train on all questions, as a GPU can")
    options.add_argument("--drawn", type=int, default=500, help="test questions")
    args = options.parse_args()
    if args.what == "train":
        train(args.data, args.index, args.work, args.all)
        return
    asked = Asked(args.data, args.index, args.drawn)
    compared = json.loads((args.work / "raft" / "comparison.json").read_text(encoding="utf-8"))
    found = figures(test(asked, args.work))
    record("generators", {"n_questions": len(asked.examples), **found, "held_out": compared}, f"bench.kbqa.kb, {TEST}")


if __name__ == "__main__":
    main()
