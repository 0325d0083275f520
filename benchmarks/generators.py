"""The embedded generator fine-tuned and aligned on the reference task, each way to answer side by side.

    python benchmarks/generators.py train --data ../shared/data/nlpcc2016 --index INDEX --work runs/generators
    python benchmarks/generators.py test --data ../shared/data/nlpcc2016 --index INDEX --work runs/generators

`train` runs the `kbqa finetune` commands of `trainings`, and the control of RAFT (generators_control.py); what is
finished is not done again. They see a few hundred questions a stage, as a CPU can; `--all` takes every training
question but the 200 that RAFT's stages are measured on, which no training sees. `test` asks `--drawn` test questions,
drawn at random, of each adapter with the prompts of `ask`, and writes one row with the share of exactly right answers
of each way, its 95 % interval, and the paired difference to supervised fine-tuning alone. Answers are written in
batches, and those of a way that is finished with the same adapter are read from the work folder.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from generators_control import part_questions, train_control
from numpy.typing import NDArray
from recording import record
from tqdm import tqdm

from eval.uncertainty import bootstrap_intervals
from finetune.raft_prompts import RaftPrompt
from finetune.raft_samples import Drawn, majority
from kb_index.atomic import replacing_text
from kb_index.manifest import describe_file
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
    training, held_out = part_questions(data / TRAIN, work)
    questions = ("--questions", str(training), "--held-out", str(held_out))
    retrieved = (*questions, "--index", str(index))
    few = () if on_all else ("--limit", "400", "--steps", "30")
    longer = () if on_all else ("--limit", "1200", "--steps", "60")
    drawn = ("--batch", "2048") if on_all else ("--batch", "256", "--limit", "3000", "--stages", "2")
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
    train_control(work / "raft", work / "control")


class Way(NamedTuple):
    """How test questions are answered: with which adapter, and whether among candidates, by votes, without triples."""

    adapter: str
    constrained: bool = False
    votes: bool = False
    closed_book: bool = False


WAYS = {
    "sft": Way("sft"),
    "sft, constrained": Way("sft", constrained=True),
    f"sft, best of {SAMPLES}": Way("sft", votes=True),
    "sft, closed book": Way("closed-book", closed_book=True),
    "sft, as much further": Way("control"),
    "raft": Way("raft"),
    "raft, constrained": Way("raft", constrained=True),
}
COMPARED = (
    ("raft", "sft"),
    ("raft", "sft, as much further"),
    ("sft, as much further", "sft"),
    ("raft, constrained", "sft, constrained"),
    (f"sft, best of {SAMPLES}", "sft"),
)


def test(data: Path, index: Path, work: Path, n: int, names: Sequence[str]) -> dict[str, Any]:
    """Answer the drawn questions in some ways, each kept in a file, and give the figures of all that are there."""
    examples = draw(read_questions(data / TEST), n, seed=0)
    folder = work / f"test-{n}"
    folder.mkdir(exist_ok=True)
    found = {}
    for name, way in WAYS.items():
        weights = work / way.adapter / "adapter_model.safetensors"
        if not weights.exists():
            continue
        path, adapter = folder / f"{name}.json", describe_file(weights).sha256
        kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        if name in names and kept.get("adapter") != adapter:
            kept = {"adapter": adapter, "answers": _answers(way, examples, index, work)}
            with replacing_text(path) as file:
                json.dump(kept, file, ensure_ascii=False, indent=0)
        if kept.get("adapter") == adapter:
            found[name] = _right(examples, kept["answers"])
    return {"n_questions": n, **figures(found)}


def _right(examples: Sequence[QAExample], answers: Sequence[str]) -> NDArray[np.float64]:
    """Which answers equal a gold answer as prompts have it, one line of at most 60 characters; (n_questions,)."""
    golds = ([comparable(answer_text(a)) for a in e.answers] for e in examples)
    return np.array([comparable(answer) in gold for answer, gold in zip(answers, golds, strict=True)], np.float64)


def _answers(way: Way, examples: Sequence[QAExample], index: Path, work: Path) -> list[str]:
    generator = load_generator(None, work / way.adapter)
    if way.closed_book:
        return _in_batches(generator, [closed_book_prompt(e.question) for e in examples])
    prompts, candidates = [], []
    with KBQAgent.open(index, model="none") as agent:
        for example in tqdm(examples, "retrieve", unit="question"):
            triples = agent.best_triples(example.question, agent.config.prompt_triples)
            prompts.append(answer_prompt(example.question, triples))
            candidates.append(list(dict.fromkeys(answer_text(t.object) for t in triples)))
    return (
        _majority(generator, prompts)
        if way.votes
        else _in_batches(generator, prompts, candidates if way.constrained else None)
    )


def _in_batches(
    generator: HuggingFaceGenerator, prompts: Sequence[str], among: Sequence[Sequence[str]] | None = None
) -> list[str]:
    answers: dict[int, str] = {}
    for at in _batches(prompts):
        choices = [[*among[i], UNKNOWN] for i in at] if among else None
        answers |= zip(at, generator.generate([prompts[i] for i in at], among=choices), strict=True)
    return [answers[i] for i in range(len(prompts))]


def _majority(generator: HuggingFaceGenerator, prompts: Sequence[str]) -> list[str]:
    """The best of some samples of each prompt, told without any gold answer."""
    answers: dict[int, str] = {}
    for at in _batches(prompts):
        for i, samples in zip(at, generator.sample([prompts[i] for i in at], SAMPLES), strict=True):
            texts, likelihoods, n_tokens = zip(*samples, strict=True)
            answers[i] = majority(Drawn(RaftPrompt(str(i), prompts[i], (), ""), texts, n_tokens, likelihoods))
    return [answers[i] for i in range(len(prompts))]


def _batches(prompts: Sequence[str]) -> Iterator[list[int]]:
    """The numbers of prompts of like length, `AT_ONCE` together."""
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    yield from tqdm([order[i : i + AT_ONCE] for i in range(0, len(order), AT_ONCE)], unit="batch")


def figures(found: Mapping[str, NDArray[np.float64]]) -> dict[str, Any]:
    """The share of right answers of each way, and the paired difference of `COMPARED` ways."""
    pairs = {f"{a} over {b}": found[a] - found[b] for a, b in COMPARED if a in found and b in found}
    return {"exact_match": _with_intervals(found), "gains": _with_intervals(pairs)}


def _with_intervals(values: Mapping[str, NDArray[np.float64]]) -> dict[str, dict[str, Any]]:
    return {
        name: {
            "mean": round(float(of_questions.mean()), 4),
            "interval": [round(end, 4) for end in bootstrap_intervals(of_questions[:, None])[0].tolist()],
        }
        for name, of_questions in values.items()
    }


def main() -> None:
    """Train or test."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("what", choices=["train", "test"])
    options.add_argument("--data", type=Path, required=True, help="folder of the task's files")
    options.add_argument("--index", type=Path, required=True, help="index of its triples, with a trained ranker")
    options.add_argument("--work", type=Path, required=True, help="folder for the adapters")
    options.add_argument("--all", action="store_true", help="train on all questions, as a GPU can")
    options.add_argument("--ways", nargs="*", choices=list(WAYS), help="ways to answer; default: all")
    options.add_argument("--drawn", type=int, default=500, help="test questions")
    args = options.parse_args()
    if args.what == "train":
        train(args.data, args.index, args.work, args.all)
        return
    found = test(args.data, args.index, args.work, args.drawn, args.ways or list(WAYS))
    compared = args.work / "raft" / "comparison.json"
    held_out = json.loads(compared.read_text(encoding="utf-8")) if compared.exists() else None
    record("generators", {**found, "raft_on_held_out": held_out}, f"bench.kbqa.kb, {TEST}")


if __name__ == "__main__":
    main()
