"""Supervised fine-tuning: prompts and answers to an adapter, with its metrics, loss curve and record.

It trains on rows that are already prompts; `finetune.data` makes them from questions. RAFT and reward models are
elsewhere.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import Any

from finetune.arguments import training_arguments
from finetune.checkpoints import last_checkpoint, step_of
from finetune.config import SFTConfig
from finetune.data import TokenRow, collate, encode_rows, length_grouped, n_steps, split_validation
from finetune.failures import memory_errors, spare_memory
from finetune.models import open_trainable, save_adapter, save_full
from finetune.plots import draw_if_possible
from finetune.processes import is_main, is_restarted, main_first
from finetune.record import read_metrics
from finetune.trackers import check_tracker, tracking
from finetune.training_folder import (
    RECORD_FILE,
    check_training_folder,
    checkpoints_of,
    prepare_folder,
    record_of,
    write_json,
)
from kb_index.atomic import storage_errors
from kb_index.errors import InputError
from kbqa_agent.text2text import read_text2text
from kbqa_agent.tokenizing import context_length

__all__ = ["SFTResult", "run", "train"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SFTResult:
    """What a training did; losses are nats a token of the validation rows (None without such rows).

    `n_cut` rows lost triples to fit, `n_dropped` did not fit at all.
    """

    out: Path
    steps: int
    seconds: float
    tokens_per_second: float
    loss_before: float | None
    loss_after: float | None
    n_rows: int
    n_cut: int
    n_dropped: int


def run(config: SFTConfig, progress: bool = True) -> SFTResult:
    """Fine-tune a model on the text2text rows of `config.data`.

    Raises:
        QuestionFileError: the rows cannot be read.
        ModelError, MissingExtraError: the model cannot be loaded.
        StorageError: `config.out` cannot be written, or holds other things than a training.
    """
    return train(config, [(row,) for row in read_text2text(config.data)], progress)


def train(config: SFTConfig, conversations: Sequence[Sequence[tuple[str, str]]], progress: bool = True) -> SFTResult:
    """Fine-tune on rows of one or more (prompt, answer) pairs; `config.data` only goes on record. Raises as `run`.

    Of several processes (see `finetune.processes`) all train and the main one writes. Where the launcher started them
    again, after one had died, they go on from the last checkpoint.
    """
    if is_restarted():
        config = replace(config, resume=True)
    check_training_folder(config.out)
    check_tracker(config.report_to)
    with memory_errors("choose a smaller model, or add --four-bit where there is a GPU"):
        model, tokenizer = open_trainable(config)
    config = replace(config, max_tokens=min(config.max_tokens, context_length(model)))
    training, validation, counts = _split_rows(config, tokenizer, conversations)
    with storage_errors(config.out, "choose another --out"):
        with main_first():
            if is_main():
                prepare_folder(config)
                record = record_of(config, conversations)
        with memory_errors(spare_memory(config)), tracking(config.report_to, config.out):
            measured, weights = _fit(model, config, training, validation, progress)
        gc.collect()  # the trainer refers to itself, and would keep the model long after this; RAFT opens the next one
        result = SFTResult(config.out, **measured, n_rows=len(training), **counts)
        if is_main():
            if config.full:
                save_full(model, tokenizer, config.out, weights)
            else:
                save_adapter(model, config.out, config.model, weights)
            write_json(config.out / RECORD_FILE, record | {"result": asdict(result)})
            draw_if_possible([config.out], config.out / "loss.png")
    return result


def _split_rows(
    config: SFTConfig, tokenizer: Any, conversations: Sequence[Sequence[tuple[str, str]]]
) -> tuple[list[TokenRow], list[TokenRow], dict[str, int]]:
    """Encode the rows; give those to train on, those to validate on, and how many were cut or dropped."""
    encoded = encode_rows(tokenizer, conversations, config.max_tokens)
    if len(encoded.rows) < 2:
        raise InputError(
            f"{config.data}: {len(encoded.rows)} usable rows; expected at least 2, to train and to validate"
        )
    if encoded.n_cut or encoded.n_dropped:
        logger.warning(
            "over %d tokens: %d rows lost triples, %d were dropped", config.max_tokens, encoded.n_cut, encoded.n_dropped
        )
    training, validation = split_validation(
        encoded.rows, config.validation_share, config.max_validation_rows, config.seed
    )
    return training, validation, {"n_cut": encoded.n_cut, "n_dropped": encoded.n_dropped}


def _fit(
    model: Any, config: SFTConfig, training: list[TokenRow], validation: list[TokenRow], progress: bool
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Train, and give the figures and, if each process holds only a share of them, the weights."""
    from finetune.trainer import MetricsFile

    trainer = _trainer(model, config, training, validation)
    read = [0, *accumulate(len(row.input_ids) for row in trainer.train_dataset)][:: config.rows_per_step]
    metrics = MetricsFile(config.out / "metrics.jsonl", read, progress and is_main())
    checkpoint = last_checkpoint(checkpoints_of(config)) if config.resume else None
    if is_main():
        trainer.add_callback(metrics)
        metrics.keep_until(step_of(checkpoint) if checkpoint else -1)
    # Not by `evaluate` before `train`: several processes would then train apart, each for itself.
    trainer.args.eval_on_start = bool(validation) and not checkpoint
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    if validation and not config.patience and _validated_until(trainer.state) < trainer.state.global_step:
        trainer.evaluate()
    losses = _validation_losses(config.out)
    figures = {
        "steps": trainer.state.global_step,
        "seconds": round(metrics.seconds, 2),
        "tokens_per_second": round(read[trainer.state.global_step] / metrics.seconds, 1),
        "loss_before": losses[0] if losses else None,
        "loss_after": _loss_of_kept(trainer.state, config, losses) if losses else None,
    }
    return figures, trainer.whole_weights()


def _loss_of_kept(state: Any, config: SFTConfig, losses: Sequence[float]) -> float | None:
    """Give the loss of the weights that are kept, the last or with `patience` the best; `losses` begin at the start."""
    if not config.patience:
        return losses[-1]
    best: float | None = state.best_metric
    if best is not None and best >= losses[0]:
        logger.warning("no validation was better than the start's %.4f; the best after it is kept", losses[0])
    return best


def _validated_until(state: Any) -> int:
    return max((entry["step"] for entry in state.log_history if "eval_loss" in entry), default=-1)


def _trainer(model: Any, config: SFTConfig, training: list[TokenRow], validation: list[TokenRow]) -> Any:
    from finetune.trainer import AnswerTrainer, EarlyStop

    steps = n_steps(config.max_steps, config.epochs, len(training), config.rows_per_step)
    lengths = [len(row.input_ids) for row in training]
    order = length_grouped(lengths, config.rows_per_step, steps * config.rows_per_step, config.seed)
    trainer = AnswerTrainer(
        model,
        training_arguments(config, steps, bool(validation)),
        data_collator=collate,
        train_dataset=[training[i] for i in order],
        eval_dataset=validation or None,
        bf16_compute=_computes_in_bf16(),
    )
    if config.patience:
        trainer.add_callback(EarlyStop(config.patience))
    return trainer


def _computes_in_bf16() -> bool:
    import torch

    from kbqa_agent.causal_models import fast_dtype

    return bool(fast_dtype() is torch.bfloat16)


def _validation_losses(out: Path) -> list[float]:
    return [line["validation_loss"] for line in read_metrics(out / "metrics.jsonl") if "validation_loss" in line]
