# ruff: noqa: ARG002 - the Trainer decides which arguments its callbacks take
"""What reward models add to transformers' Trainer: the pairwise loss, the held-out accuracy, and when to stop.

It is imported by `reward` when a training begins, since it brings torch and transformers with it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any

import torch
from transformers import TrainingArguments

from finetune.arguments import parts_of_step
from finetune.checkpoints import last_checkpoint
from finetune.comparisons import EncodedComparisons, TokenComparison, collate_comparisons
from finetune.data import length_grouped, n_steps
from finetune.reward_config import RewardConfig
from finetune.reward_figures import Margins, pair_accuracy
from finetune.reward_network import can_share_prompts, rewards_of
from finetune.trackers import trackio_project
from finetune.trainer import CheckedTrainer, MetricsFile
from finetune.training_folder import CHECKPOINTS
from kb_index.errors import InputError, TrainingError
from kbqa_agent.causal_models import fast_dtype

__all__ = ["RewardMetrics", "RewardTrainer", "make_trainer", "measure_margins", "pairwise_loss"]


def pairwise_loss(rewards: torch.Tensor, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    """-log sigmoid(r_better - r_worse), averaged over the pairs of each prompt and then over the prompts, shape ().

    Reference: Ouyang et al. 2022, arXiv:2203.02155, equation 1.
    """
    margins = rewards[inputs["better"]] - rewards[inputs["worse"]]
    return -(torch.nn.functional.logsigmoid(margins) * inputs["weights"]).sum()


def measure_margins(
    network: Any, rows: Sequence[TokenComparison], shared: bool, rows_at_once: int, bf16: bool = False
) -> Margins:
    """How much higher the better answer of each pair is rewarded than the worse one."""
    margins, prompts = [], []
    network.eval()
    ordered = sorted(rows, key=lambda row: row.length)
    for start in range(0, len(ordered), rows_at_once):
        part = ordered[start : start + rows_at_once]
        inputs = {name: value.to(network.device) for name, value in collate_comparisons(part, shared).items()}
        with torch.inference_mode(), torch.autocast(network.device.type, dtype=torch.bfloat16, enabled=bf16):
            rewards = rewards_of(network, inputs)
        margins += (rewards[inputs["better"]] - rewards[inputs["worse"]]).tolist()
        prompts += [row.prompt_number for row in part for _ in row.pairs]
    return Margins.of(margins, prompts)


class RewardTrainer(CheckedTrainer):
    """Trains on `pairwise_loss`; an evaluation measures the held-out loss and accuracy."""

    control: Any

    def __init__(self, network: Any, args: Any, *, shared: bool, **rows: Sequence[TokenComparison]) -> None:
        super().__init__(network, args, data_collator=partial(collate_comparisons, shared=shared), **rows)
        self._shared = shared
        self._bf16 = fast_dtype() is torch.bfloat16
        self.margins: Margins | None = None
        """The held-out margins at the last evaluation."""
        self.measured_at = -1
        """The step of that evaluation."""

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | None = None,
    ) -> Any:
        """Give the mean loss of the prompts."""
        with torch.autocast(self.args.device.type, dtype=torch.bfloat16, enabled=self._bf16):
            rewards = rewards_of(model, inputs)
        loss = pairwise_loss(rewards, inputs)
        return (loss, {}) if return_outputs else loss

    def no_number(self, step: int, checkpoints: Path) -> TrainingError:
        """Advise to begin anew: a reward model does not go on from a checkpoint with another learning rate."""
        good = last_checkpoint(checkpoints)
        return TrainingError(
            f"step {step + 1}: the loss or its gradient is not a number; "
            f"{f'{good} is the last good checkpoint' if good else 'there is no checkpoint before it'}; "
            "begin anew with a lower --learning-rate"
        )

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Measure the held-out loss and accuracy, and log them."""
        self.measured_at = self.state.global_step
        rows_at_once = self.args.per_device_eval_batch_size
        self.margins = measure_margins(self.model, self.eval_dataset, self._shared, rows_at_once, self._bf16)
        metrics = {"eval_loss": self.margins.loss, "eval_accuracy": pair_accuracy(self.margins)}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics


class RewardMetrics(MetricsFile):
    """A metrics file that has a line for the accuracy, too."""

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **kwargs: Any) -> None:
        """Write what was measured."""
        super().on_log(args, state, control, logs, **kwargs)
        if "eval_accuracy" in logs:
            line = {"step": state.global_step, "held_out_accuracy": round(logs["eval_accuracy"], 4)}
            with self._path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(line | {"seconds": round(self.seconds, 2)}) + "\n")


def make_trainer(
    config: RewardConfig, out: Path, network: Any, parts: tuple[EncodedComparisons, EncodedComparisons]
) -> Any:
    """Make the Trainer of the training and the held-out rows, in the order of their batches. Raises: InputError."""
    training, held_out = (part.rows for part in parts)
    steps = n_steps(config.max_steps, config.epochs, len(training), config.rows_per_step)
    lengths = [row.length for row in training]
    order = length_grouped(lengths, config.rows_per_step, steps * config.rows_per_step, config.seed)
    trainer = RewardTrainer(
        network,
        _arguments(config, out, steps),
        shared=can_share_prompts(network, max(row.length for row in [*training, *held_out])),
        train_dataset=[training[i] for i in order],
        eval_dataset=held_out,
    )
    if trainer.is_sharded:
        raise InputError("a reward model's processes each hold all weights; launch them without FSDP and DeepSpeed")
    return trainer


def _arguments(config: RewardConfig, out: Path, steps: int) -> Any:
    arguments = TrainingArguments(
        output_dir=str(out / CHECKPOINTS),
        max_steps=steps,
        per_device_train_batch_size=config.rows_at_once,
        per_device_eval_batch_size=config.rows_at_once,
        gradient_accumulation_steps=parts_of_step(config),
        learning_rate=config.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=ceil(config.warmup_share * steps),
        max_grad_norm=config.max_grad_norm,
        train_sampling_strategy="sequential",  # the rows come in the order of their batches
        logging_steps=config.log_every,
        logging_first_step=True,
        logging_nan_inf_filter=False,  # a loss that is no number is to be seen
        eval_strategy="steps",
        eval_steps=config.validate_every,
        save_steps=config.save_every,
        save_total_limit=2,
        seed=config.seed,
        run_name=out.name,
        report_to=config.report_to,
        project=trackio_project(),
        use_cpu=not torch.cuda.is_available(),  # else processes without GPUs would not know of each other
        ddp_find_unused_parameters=False,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        disable_tqdm=True,
    )
    arguments._n_gpu = min(1, arguments.n_gpu)  # several GPUs are several processes' affair
    return arguments
