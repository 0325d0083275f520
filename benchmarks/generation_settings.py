"""Measure which settings make the generator write faster on a processor: number formats, threads, torch.compile.

    python benchmarks/generation_settings.py [--model embedded] [--adapter none] [--prompts 8] [--rounds 3]

Every setting writes an answer for each prompt, one at a time as `ask` does, in turns with the others, so that what else
runs on the machine slows all of them. Writes benchmarks/results/generation-settings.json: median seconds a prompt, the
share of answers that are those of float32, and the seconds that the first answer took (compilation).
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from adapter_ranking import sample_cases
from recording import record
from scoring_speed import int8

from kbqa_agent.causal_models import load_model, with_adapter
from kbqa_agent.decoding import write_answers
from kbqa_agent.generation import shipped_adapter

MAX_NEW_TOKENS = 16


class Setting(NamedTuple):
    """A model made ready, and the threads that it computes with."""

    name: str
    model: Any
    threads: int


def settings(load: Callable[[Any], Any], threads: int) -> list[Setting]:
    """Open the model once for each setting."""
    compiled = load(torch.bfloat16)
    compiled.forward = torch.compile(compiled.forward, dynamic=True)
    bfloat16 = load(torch.bfloat16)
    return [
        Setting("float32", load(torch.float32), threads),
        Setting("bfloat16", bfloat16, threads),
        Setting("bfloat16, 1 thread", bfloat16, 1),
        Setting(f"bfloat16, {2 * threads} threads", bfloat16, 2 * threads),
        Setting("int8 weights", int8(load(torch.float32)), threads),
        Setting("bfloat16, torch.compile", compiled, threads),
    ]


def main() -> None:
    """Measure every setting in turns."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--adapter", default=shipped_adapter() or "none")
    parser.add_argument("--prompts", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    tokenizer = load_model(options.model)[1]

    def load(dtype: Any) -> Any:
        model = load_model(options.model, dtype=dtype)[0]
        if str(options.adapter) != "none":
            model = with_adapter(model, Path(options.adapter)).merge_and_unload()
        return model.eval()

    def seconds(setting: Setting, prompt: str) -> tuple[float, str]:
        torch.set_num_threads(setting.threads)
        started = time.perf_counter()
        (text,) = write_answers(setting.model, tokenizer, [prompt], MAX_NEW_TOKENS)
        return time.perf_counter() - started, text

    chosen = settings(load, options.threads)
    prompts = [case.prompt for case in sample_cases(options.prompts)]
    first = {setting.name: seconds(setting, prompts[0])[0] for setting in chosen}
    times: dict[str, list[float]] = {setting.name: [] for setting in chosen}
    answers: dict[str, list[str]] = {setting.name: [] for setting in chosen}
    for _ in range(options.rounds):
        for prompt in prompts:
            for setting in chosen:
                taken, text = seconds(setting, prompt)
                times[setting.name].append(taken)
                answers[setting.name].append(text)
    rows = [
        {
            "setting": name,
            "seconds": round(statistics.median(taken), 3),
            "first_seconds": round(first[name], 1),
            "same_answers": round(
                statistics.mean(a == b for a, b in zip(answers[name], answers["float32"], strict=True)), 3
            ),
        }
        for name, taken in times.items()
    ]
    figures = {"prompts": len(prompts), "rounds": options.rounds, "threads": options.threads, "settings": rows}
    record("generation-settings", figures, "the packaged sample")


if __name__ == "__main__":
    main()
