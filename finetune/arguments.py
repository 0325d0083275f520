"""An `SFTConfig` in the words of transformers' Trainer."""

from __future__ import annotations

import os
from math import ceil
from typing import Any

from finetune.config import SFTConfig
from finetune.processes import n_processes
from finetune.raft_config import RaftConfig
from finetune.reward_config import RewardConfig
from finetune.trackers import trackio_project
from finetune.training_folder import checkpoints_of
from kb_index.errors import InputError

__all__ = ["parts_of_step", "training_arguments"]

ADAM_BETAS = (0.9, 0.95)
LAST_RATE_SHARE = 0.1


def training_arguments(config: SFTConfig, steps: int, validates: bool) -> Any:
    """Give the Trainer's arguments for a training of so many steps.

    A step has `rows_per_step` rows, however many processes share it. Raises: InputError where they cannot.
    """
    import torch
    from transformers import TrainingArguments

    save_every = config.validate_every if config.patience else config.save_every
    arguments = TrainingArguments(
        output_dir=str(checkpoints_of(config)),
        run_name=config.out.name,
        max_steps=steps,
        per_device_train_batch_size=config.rows_at_once,
        per_device_eval_batch_size=config.rows_at_once,
        gradient_accumulation_steps=parts_of_step(config),
        activation_checkpointing=config.gradient_checkpointing,
        activation_checkpointing_kwargs={"use_reentrant": False},
        learning_rate=config.learning_rate,
        lr_scheduler_type="cosine_with_min_lr",
        lr_scheduler_kwargs={"min_lr_rate": LAST_RATE_SHARE},
        warmup_steps=ceil(config.warmup_share * steps),
        weight_decay=config.weight_decay,
        adam_beta1=ADAM_BETAS[0],
        adam_beta2=ADAM_BETAS[1],
        max_grad_norm=config.max_grad_norm,
        train_sampling_strategy="sequential",  # the rows come in the order of their batches
        logging_steps=config.log_every,
        logging_first_step=True,
        logging_nan_inf_filter=False,  # a loss that is no number is to be seen
        eval_strategy="steps" if validates else "no",
        eval_steps=config.validate_every,
        save_steps=save_every,
        save_total_limit=2,
        load_best_model_at_end=bool(config.patience),
        metric_for_best_model="eval_loss" if config.patience else None,
        greater_is_better=False if config.patience else None,
        seed=config.seed,
        report_to=config.report_to,
        project=trackio_project(),
        bf16=os.environ.get("ACCELERATE_MIXED_PRECISION") == "bf16",  # DeepSpeed's settings and these have to agree
        use_cpu=not torch.cuda.is_available(),  # else processes without GPUs would not know of each other
        ddp_find_unused_parameters=False,
        label_names=["labels"],
        prediction_loss_only=True,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        disable_tqdm=True,
    )
    arguments._n_gpu = min(1, arguments.n_gpu)  # several GPUs are several processes' affair
    return arguments


def parts_of_step(config: SFTConfig | RewardConfig | RaftConfig) -> int:
    """Tell how often each process reads rows for a step. Raises: InputError where processes cannot share one."""
    parts, rest = divmod(config.rows_per_step, config.rows_at_once * n_processes())
    if rest or not parts:
        raise InputError(
            f"rows_per_step={config.rows_per_step}: expected a multiple of rows_at_once={config.rows_at_once} times "
            f"{n_processes()} processes; lower --rows-at-once or raise --rows-per-step"
        )
    return parts
