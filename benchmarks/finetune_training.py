"""The measure `training` of finetune_speed.py: tokens a second of a supervised training and of a plain Trainer.

Both compute the gradients of a new LoRA adapter on the same rows, 8 at once, in the same precision. The plain one draws
rows at random, pads them to the longest of a batch, and takes the model's own loss. They take turns batch by batch, so
that what else the machine does slows both alike; the processor's seconds, of all threads, stand beside the clock's.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm
from transformers import Trainer

from finetune import sft
from finetune.arguments import training_arguments
from finetune.config import SFTConfig
from finetune.data import IGNORED, RowOptions, TokenRow, collate, encode_rows, length_grouped
from finetune.models import open_trainable
from finetune.questions import training_rows
from kb_index import build_index
from kbqa_agent.sample import sample_train, sample_triples
from kbqa_agent.text2text import read_text2text

ROWS_AT_ONCE = 8


def training(options: argparse.Namespace) -> dict[str, Any]:
    """Go once through `rows` rows in batches of like length, and in random ones, in turns; give both rates."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        config = SFTConfig(data=Path("rows.json"), out=out, model=options.model, max_steps=1, validation_share=0.0)
        rows = encoded_rows(config, Path(folder), options.rows)
        trainer, plain = sft._trainer(open_trainable(config)[0], config, rows, []), plain_trainer(config, rows)
        lengths = [len(row.input_ids) for row in rows]
        grouped = length_grouped(lengths, ROWS_AT_ONCE, len(rows), seed=0)
        drawn = random.Random(0).sample(range(len(rows)), len(rows))
        clock, processor = np.zeros((len(rows) // ROWS_AT_ONCE, 2)), np.zeros((len(rows) // ROWS_AT_ONCE, 2))
        for n in tqdm(range(-1, len(clock))):  # the first batch warms up
            here = slice(max(n, 0) * ROWS_AT_ONCE, (max(n, 0) + 1) * ROWS_AT_ONCE)
            clock[n, 0], processor[n, 0] = seconds_of(trainer, collate([rows[i] for i in grouped[here]]))
            clock[n, 1], processor[n, 1] = seconds_of(plain, padded([rows[i] for i in drawn[here]]))
    (seconds, plain_seconds), (cpu, plain_cpu) = clock.sum(0), processor.sum(0)
    return {
        "model": options.model,
        "dtype": "bfloat16" if sft._computes_in_bf16() else "float32",
        "threads": torch.get_num_threads(),
        "rows": len(rows),
        "rows_at_once": ROWS_AT_ONCE,
        "tokens": sum(lengths),
        "longest_row": max(lengths),
        "processor_seconds": round(cpu, 1),
        "processor_seconds_plain": round(plain_cpu, 1),
        "tokens_per_second": round(sum(lengths) / seconds, 1),
        "tokens_per_second_plain": round(sum(lengths) / plain_seconds, 1),
        "ratio": round(plain_seconds / seconds, 2),
        "ratio_of_processor_seconds": round(plain_cpu / cpu, 2),
    }


def encoded_rows(config: SFTConfig, folder: Path, n_rows: int) -> list[TokenRow]:
    """Make rows with triples of the packaged sample, as `kbqa finetune sft` does, as many as fill whole batches."""
    build_index([sample_triples()], folder / "index", progress=False)
    path = training_rows(sample_train(), folder / "rows" / "rows.json", folder / "index", RowOptions(), n_rows)
    tokenizer = open_trainable(config)[1]
    rows = encode_rows(tokenizer, [(row,) for row in read_text2text(path)], config.max_tokens).rows
    return rows[: len(rows) // ROWS_AT_ONCE * ROWS_AT_ONCE]


def seconds_of(trainer: Trainer, batch: dict[str, torch.Tensor]) -> tuple[float, float]:
    """Compute the gradients of a batch, and give the seconds of the clock and of the processor that took."""
    trainer.current_gradient_accumulation_steps = 1  # what `train` would set
    clock, processor = time.perf_counter(), time.process_time()
    trainer.training_step(trainer.model, batch)
    trainer.model.zero_grad()
    return time.perf_counter() - clock, time.process_time() - processor


def plain_trainer(config: SFTConfig, rows: Sequence[TokenRow]) -> Trainer:
    """Set up transformers' Trainer as it comes, with the same settings."""
    arguments = training_arguments(config, 1, validates=False)
    arguments.bf16 = sft._computes_in_bf16()
    return Trainer(open_trainable(config)[0], arguments, data_collator=padded, train_dataset=list(rows))


def padded(rows: Sequence[TokenRow]) -> dict[str, torch.Tensor]:
    """Pad rows to the longest of their batch."""
    longest = max(len(row.input_ids) for row in rows)
    spare = [longest - len(row.input_ids) for row in rows]
    return {
        "input_ids": torch.tensor([row.input_ids + [0] * n for row, n in zip(rows, spare, strict=True)]),
        "attention_mask": torch.tensor([[1] * (longest - n) + [0] * n for n in spare]),
        "labels": torch.tensor([row.labels + [IGNORED] * n for row, n in zip(rows, spare, strict=True)]),
    }
