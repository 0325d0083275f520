"""Measure the time to weigh 20 answers under one prompt, against feeding prompt and answer one by one.

    python benchmarks/scoring_speed.py [--model embedded] [--adapter none] [--threads 2]

Gives for each precision: seconds for a prompt of 10 triples, the ratio to one by one in the same precision, the
greatest difference (nats) of a likelihood from its value one by one, and from its value in float32. Writes
benchmarks/results/scoring-speed.json.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from recording import record

from finetune.generated import questions_from_triples
from finetune.synthetic import synthetic_entities
from kbqa_agent.causal_models import load_model, with_adapter
from kbqa_agent.generation import shipped_adapter
from kbqa_agent.prompts import answer_prompt, answer_text
from kbqa_agent.scoring import score_answers

N_PROMPTS, N_TRIPLES, N_ANSWERS = 6, 10, 20
SEED = 20_000


def prompts() -> list[tuple[str, list[str]]]:
    """Make prompts of 10 triples, with their values as answers, and those of the next entity."""
    entities = [entity[:N_TRIPLES] for entity in synthetic_entities(200, SEED) if len(entity) >= N_TRIPLES]
    made = []
    for shown, others in list(zip(entities[::2], entities[1::2], strict=False))[:N_PROMPTS]:
        (question,) = questions_from_triples(shown, 1, SEED)
        answers = [answer_text(t.object) for t in [*shown, *others]]
        made.append((answer_prompt(question.question, shown), answers[:N_ANSWERS]))
    return made


def int8(model: Any) -> Any:
    """Quantise the linear layers' weights to int8, their inputs as they come."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.ao.quantization.quantize_dynamic(model.float(), {torch.nn.Linear}, dtype=torch.qint8)


def seconds_each(model: Any, tokenizer: Any, together: bool) -> tuple[float, np.ndarray]:
    """Score every prompt; give the median seconds of a prompt and all likelihoods."""
    times, scores = [], []
    for prompt, answers in prompts():
        start = time.perf_counter()
        if together:
            scores.append(score_answers(model, tokenizer, prompt, answers))
        else:
            scores.append(np.concatenate([score_answers(model, tokenizer, prompt, [answer]) for answer in answers]))
        times.append(time.perf_counter() - start)
    return statistics.median(times), np.concatenate(scores)


def main() -> None:
    """Measure float32, bfloat16 and int8, and record them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--adapter", default=shipped_adapter() or "none")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    exact = None
    rows = []
    for precision in ("float32", "bfloat16", "int8"):
        dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
        model, tokenizer = load_model(options.model, dtype=dtype)
        if str(options.adapter) != "none":
            model = with_adapter(model, Path(options.adapter)).merge_and_unload()
        model = int8(model) if precision == "int8" else model.eval()
        seconds, scores = seconds_each(model, tokenizer, together=True)
        seconds_one_by_one, scores_one_by_one = seconds_each(model, tokenizer, together=False)
        exact = scores if exact is None else exact
        row = {
            "precision": precision,
            "threads": options.threads,
            "prompt_tokens": round(statistics.mean(len(tokenizer(prompt)["input_ids"]) for prompt, _ in prompts())),
            "answers": N_ANSWERS,
            "seconds": round(seconds, 3),
            "seconds_one_by_one": round(seconds_one_by_one, 3),
            "ratio": round(seconds_one_by_one / seconds, 2),
            "max_difference_one_by_one": float(np.abs(scores - scores_one_by_one).max()),
            "max_difference_float32": round(float(np.abs(scores - exact).max()), 3),
        }
        rows.append(row)
        print(row, flush=True)
    record("scoring-speed", {"precisions": rows}, "made-up entities")


if __name__ == "__main__":
    main()
