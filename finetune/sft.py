"""Supervised fine-tuning: prompts and answers to an adapter, with its metrics, loss curve and record.

It trains on rows that are already prompts; `finetune.data` makes them from questions. RAFT and reward models are
elsewhere.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import accumulate
from math import ceil
from pathlib import Path
from typing import Any

from finetune.checkpoints import last_checkpoint, step_of
from finetune.config import SFTConfig
from finetune.data import TokenRow, collate, encode_rows, length_grouped, split_validation
from finetune.models import open_trainable, save_adapter, save_full
from finetune.plots import loss_curve
from finetune.record import read_metrics, read_record, sha256_of, training_record
from kb_index.atomic import replacing, replacing_text, storage_errors
from kb_index.errors import InputError, MissingExtraError, StorageError
from kbqa_agent.text2text import read_text2text
from kbqa_agent.tokenizing import context_length

__all__ = ["SFTResult", "check_training_folder", "run", "train"]

logger = logging.getLogger(__name__)

SAME_ON_RESUME = ("model", "full", "rank", "alpha", "rows_per_step", "max_tokens", "seed")
RECORD_FILE = "record.json"
BEFORE_RECORD = {"rows.json", "metrics.jsonl"}
"""What may be in a folder before its training is on record."""

PACKAGES = ("torch", "transformers", "peft")


@dataclass(frozen=True, slots=True)
class SFTResult:
    """What a training did; losses are nats a token of the validation rows (None without such rows)."""

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
    """Fine-tune on rows of one or more (prompt, answer) pairs; `config.data` only goes on record. Raises as `run`."""
    check_training_folder(config.out)
    model, tokenizer = open_trainable(config)
    config = replace(config, max_tokens=min(config.max_tokens, context_length(model)))
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
    with storage_errors(config.out, "choose another --out"):
        _prepare_folder(config)
        record = _record(config, conversations)
        measured = _fit(model, config, training, validation, progress)
        if config.full:
            save_full(model, tokenizer, config.out)
        else:
            save_adapter(model, config.out, config.model)
        result = SFTResult(
            config.out, **measured, n_rows=len(training), n_cut=encoded.n_cut, n_dropped=encoded.n_dropped
        )
        _write_json(config.out / RECORD_FILE, record | {"result": asdict(result)})
        _draw(config.out)
    return result


def _fit(
    model: Any, config: SFTConfig, training: list[TokenRow], validation: list[TokenRow], progress: bool
) -> dict[str, Any]:
    from finetune.trainer import MetricsFile

    trainer = _trainer(model, config, training, validation)
    read = [0, *accumulate(len(row.input_ids) for row in trainer.train_dataset)][:: config.rows_per_step]
    metrics = MetricsFile(config.out / "metrics.jsonl", read, progress)
    trainer.add_callback(metrics)
    checkpoint = last_checkpoint(_checkpoints(config)) if config.resume else None
    metrics.keep_until(step_of(checkpoint) if checkpoint else -1)
    if not checkpoint and validation:
        trainer.evaluate()
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    losses = _validation_losses(config.out)
    if validation and (not losses or losses[-1][0] < trainer.state.global_step):
        trainer.evaluate()
        losses = _validation_losses(config.out)
    return {
        "steps": trainer.state.global_step,
        "seconds": round(metrics.seconds, 2),
        "tokens_per_second": round(read[trainer.state.global_step] / metrics.seconds, 1),
        "loss_before": losses[0][1] if losses else None,
        "loss_after": losses[-1][1] if losses else None,
    }


def _trainer(model: Any, config: SFTConfig, training: list[TokenRow], validation: list[TokenRow]) -> Any:
    from transformers.trainer_callback import PrinterCallback, ProgressCallback

    from finetune.trainer import AnswerTrainer

    steps = config.max_steps or ceil(config.epochs * len(training) / config.rows_per_step)
    lengths = [len(row.input_ids) for row in training]
    order = length_grouped(lengths, config.rows_per_step, steps * config.rows_per_step, config.seed)
    trainer = AnswerTrainer(
        model,
        _arguments(config, steps, bool(validation)),
        data_collator=collate,
        train_dataset=[training[i] for i in order],
        eval_dataset=validation or None,
        bf16_compute=_computes_in_bf16(),
    )
    for callback in (PrinterCallback, ProgressCallback):  # both print to standard output
        trainer.remove_callback(callback)
    return trainer


def _arguments(config: SFTConfig, steps: int, validates: bool) -> Any:
    from transformers import TrainingArguments

    return TrainingArguments(
        output_dir=str(_checkpoints(config)),
        max_steps=steps,
        per_device_train_batch_size=config.rows_at_once,
        per_device_eval_batch_size=config.rows_at_once,
        gradient_accumulation_steps=config.rows_per_step // config.rows_at_once,
        learning_rate=config.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=ceil(config.warmup_share * steps),
        max_grad_norm=config.max_grad_norm,
        train_sampling_strategy="sequential",  # the rows come in the order of their batches
        logging_steps=config.log_every,
        logging_first_step=True,
        eval_strategy="steps" if validates else "no",
        eval_steps=config.validate_every,
        save_steps=config.save_every,
        save_total_limit=2,
        seed=config.seed,
        report_to=config.report_to,
        label_names=["labels"],
        prediction_loss_only=True,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        disable_tqdm=True,
    )


def _computes_in_bf16() -> bool:
    import torch

    from kbqa_agent.causal_models import fast_dtype

    return bool(fast_dtype() is torch.bfloat16)


def check_training_folder(out: Path) -> None:
    """Make sure that `out` is a training's folder, or may become one. Raises: StorageError."""
    with storage_errors(out, "choose another --out"):
        names = {path.name for path in out.iterdir() if not path.name.startswith(".")} if out.exists() else set()
    if RECORD_FILE not in names and names - BEFORE_RECORD:
        raise StorageError(
            f"'{out}': there already, and without a {RECORD_FILE}; it is left as it is, choose another --out"
        )


def _prepare_folder(config: SFTConfig) -> None:
    """Make the folder; a new training there replaces the metrics and checkpoints of an old one."""
    config.out.mkdir(parents=True, exist_ok=True)
    if config.resume and _checkpoints(config).is_dir():
        return
    shutil.rmtree(_checkpoints(config), ignore_errors=True)
    (config.out / "metrics.jsonl").write_text("", encoding="utf-8")


def _record(config: SFTConfig, conversations: Sequence[Sequence[tuple[str, str]]]) -> dict[str, Any]:
    """Put on record what is trained; a resumed training must be the recorded one."""
    data = {"rows_sha256": sha256_of([tuple(pair) for pair in pairs] for pairs in conversations)}
    record = training_record(asdict(config), data, PACKAGES)
    path = config.out / RECORD_FILE
    if config.resume and path.is_file() and _checkpoints(config).is_dir():
        before = read_record(path)
        changed = [name for name in SAME_ON_RESUME if before["config"].get(name) != record["config"][name]]
        if before["rows_sha256"] != record["rows_sha256"]:
            changed.append("rows")
        if changed:
            raise InputError(
                f"{config.out}: resumed with other {', '.join(changed)} than it was begun with; "
                "give the same ones, or begin anew without --resume"
            )
    _write_json(path, record)
    return record


def _checkpoints(config: SFTConfig) -> Path:
    return config.out / "checkpoints"


def _validation_losses(out: Path) -> list[tuple[int, float]]:
    lines = read_metrics(out / "metrics.jsonl")
    return [(line["step"], line["validation_loss"]) for line in lines if "validation_loss" in line]


def _draw(out: Path) -> None:
    """Draw the loss curve, where matplotlib is installed: a training is worth keeping without its picture."""
    try:
        figure = loss_curve(read_metrics(out / "metrics.jsonl"))
    except MissingExtraError as error:
        logger.warning("no loss curve: %s", error)
        return
    with replacing(out / "loss.png") as part:
        figure.savefig(part, format="png", dpi=120)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    with replacing_text(path) as stream:
        json.dump(content, stream, ensure_ascii=False, indent=1, default=str)
        stream.write("\n")
