"""Measure what makes fine-tuning fast, each against the plain way in the same run.

    python benchmarks/finetune_speed.py sampling [--model embedded] [--adapter none] [--prompts 32] [--k 8]
    python benchmarks/finetune_speed.py training [--model embedded] [--rows 64]

`sampling`: answers a second as RAFT draws them (K answers of a prompt share its pass through the model, prompts go in
batches, and the likelihood of each answer is computed), against one `generate(do_sample=True)` of transformers for each
answer, without likelihoods. Prompts hold 10 triples of the packaged sample.

`training`: tokens a second of a supervised training against a plain Trainer with padding (see finetune_training.py).

Writes benchmarks/results/finetune-speed-MEASURE.json.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from adapter_ranking import sample_cases
from finetune_training import training
from recording import record
from transformers import GenerationConfig

from finetune.raft_config import RaftConfig
from finetune.raft_prompts import RaftPrompt
from finetune.raft_samples import draw_samples
from kbqa_agent.generation import load_generator
from kbqa_agent.sampling import SamplingOptions, sample_answers
from kbqa_agent.tokenizing import stop_ids

MAX_NEW_TOKENS = 48


def sampling(options: argparse.Namespace) -> dict[str, Any]:
    """Draw `k` answers for each prompt together, and one for each prompt by itself; give both rates.

    `samples_per_second_unscored` is the rate of drawing alone, without the likelihoods.
    """
    generator = load_generator(options.model, options.adapter)
    model, tokenizer = generator._model, generator._tokenizer
    prompts = [case.prompt for case in sample_cases(options.prompts)]
    sample_answers(model, tokenizer, prompts[:1], SamplingOptions(2, max_new_tokens=2))
    one_by_one(model, tokenizer, prompts[:1])

    asked = [RaftPrompt(str(i), prompt, (), "") for i, prompt in enumerate(prompts)]
    config = RaftConfig(Path("questions"), Path("out"), samples=options.k, max_new_tokens=MAX_NEW_TOKENS)
    started = time.perf_counter()
    drawn = draw_samples(generator, asked, config, seed=0)
    seconds = time.perf_counter() - started
    started = time.perf_counter()
    sample_answers(model, tokenizer, prompts, SamplingOptions(options.k, max_new_tokens=MAX_NEW_TOKENS))
    seconds_unscored = time.perf_counter() - started
    started = time.perf_counter()
    tokens = one_by_one(model, tokenizer, prompts)
    seconds_one_by_one = time.perf_counter() - started

    rate, plain_rate = options.k * len(prompts) / seconds, len(prompts) / seconds_one_by_one
    return {
        "model": generator.name,
        "dtype": str(model.dtype),
        "threads": torch.get_num_threads(),
        "prompts": len(prompts),
        "k": options.k,
        "prompt_tokens": round(statistics.mean(len(tokenizer(prompt)["input_ids"]) for prompt in prompts)),
        "answer_tokens": round(statistics.mean(n for each in drawn for n in each.n_tokens), 1),
        "answer_tokens_one_by_one": round(statistics.mean(tokens), 1),
        "seconds": round(seconds, 1),
        "samples_per_second": round(rate, 2),
        "samples_per_second_unscored": round(options.k * len(prompts) / seconds_unscored, 2),
        "samples_per_second_one_by_one": round(plain_rate, 2),
        "ratio": round(rate / plain_rate, 2),
    }


def one_by_one(model: Any, tokenizer: Any, prompts: list[str]) -> list[int]:
    """Draw one answer for each prompt with transformers, a prompt at a time; give how many tokens each has."""
    settings = GenerationConfig(
        max_new_tokens=MAX_NEW_TOKENS,
        do_sample=True,
        top_k=0,
        eos_token_id=stop_ids(tokenizer),
        pad_token_id=tokenizer.eos_token_id,
    )
    torch.manual_seed(0)
    counts = []
    for prompt in prompts:
        inputs = tokenizer(prompt, return_tensors="pt").to(model.device)
        with torch.inference_mode():
            output = model.generate(**inputs, generation_config=settings)
        counts.append(output.shape[1] - inputs["input_ids"].shape[1])
    return counts


MEASURES = {"sampling": sampling, "training": training}


def main() -> None:
    """Take one measure and record it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measure", choices=sorted(MEASURES))
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--adapter", help="folder; default: the shipped one")
    parser.add_argument("--prompts", type=int, default=32)
    parser.add_argument("--k", type=int, default=8)
    parser.add_argument("--rows", type=int, default=64)
    options = parser.parse_args()
    record(f"finetune-speed-{options.measure}", MEASURES[options.measure](options), "the packaged sample")


if __name__ == "__main__":
    main()
