# ruff: noqa: ARG002 - the Trainer decides which arguments its callbacks take
"""What this project adds to transformers' Trainer: the loss on answers alone, and a metrics file.

It is imported by `sft` when a training begins, since it brings torch and transformers with it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from inspect import signature
from math import isfinite
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm
from transformers import Trainer, TrainerCallback
from transformers.trainer_callback import PrinterCallback, ProgressCallback

from finetune.data import IGNORED
from finetune.failures import no_number
from finetune.processes import n_processes, rank, wait_for_all
from finetune.record import read_metrics, write_metrics
from kb_index.errors import TrainingError

__all__ = ["AnswerTrainer", "CheckedTrainer", "EarlyStop", "MetricsFile", "answer_loss"]


def answer_loss(model: Any, inputs: dict[str, torch.Tensor], through_head: bool) -> torch.Tensor:
    """Sum the cross entropy (nats) over the labelled tokens, shape ().

    `through_head`: the vocabulary's logits are computed at labelled positions only, which spares most of the work where
    prompts are long and answers short. Else they come from the model's own `forward`, which is needed where the logits
    are more than the head's, or where `model` is one of several processes'; most models then take the positions at
    which any row is labelled.
    """
    labels = inputs["labels"][:, 1:]
    counted = labels != IGNORED
    given = {name: value for name, value in inputs.items() if name != "labels"} | {"use_cache": False}
    if through_head:
        causal = _causal(model)
        hidden = causal.base_model(**given).last_hidden_state[:, :-1]  # (n_rows, longest - 1, dim)
        logits = causal.get_output_embeddings()(hidden[counted])
    elif "logits_to_keep" in signature(_causal(model).forward).parameters:
        positions = counted.any(0).nonzero().flatten()
        labels, counted = labels[:, positions], counted[:, positions]
        logits = model(**given, logits_to_keep=positions).logits[counted]
    else:
        logits = model(**given).logits[:, :-1][counted]
    return torch.nn.functional.cross_entropy(logits.float(), labels[counted], reduction="sum")


def _causal(model: Any) -> Any:
    """Take the causal model out of the adapter, and out of what shares it between processes."""
    inner = getattr(model, "module", model)
    return inner.get_base_model() if hasattr(inner, "get_base_model") else inner


class CheckedTrainer(Trainer):  # type: ignore[misc]  # transformers is not typed
    """A Trainer that prints nothing, stops before a step that would make all weights NaN, and knows of sharded weights.

    Sharded (FSDP, DeepSpeed): each process holds a part of the weights, so that all have to read and save together.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for callback in (PrinterCallback, ProgressCallback):  # both print to standard output
            self.remove_callback(callback)

    def no_number(self, step: int, checkpoints: Path) -> TrainingError:
        """Make the error of a gradient that is no number."""
        return no_number(step, checkpoints)

    @property
    def is_sharded(self) -> bool:
        """Tell whether the weights are."""
        return bool(self.is_fsdp_enabled or self.is_deepspeed_enabled)

    def whole_weights(self) -> dict[str, torch.Tensor] | None:
        """Put sharded weights together, in all processes at once; None where each process has them anyway."""
        return self.accelerator.get_state_dict(self.model_wrapped) if self.is_sharded else None

    def _measured_model(self) -> Any:
        """Give the model that measures: what shares it between processes is needed for sharded weights only."""
        return self.model_wrapped if self.is_sharded else self.model

    def _clip_grad_norm(self, model: Any) -> Any:
        norm = super()._clip_grad_norm(model)
        if norm is not None and not isfinite(float(norm)):  # DeepSpeed clips by itself, and gives no norm
            raise self.no_number(self.state.global_step, Path(self.args.output_dir))
        return norm

    def _save_rng_state(self, output_dir: str) -> None:
        """Save the state of chance; the file that makes a checkpoint whole is written when all processes have."""
        super()._save_rng_state(output_dir)
        wait_for_all()


class AnswerTrainer(CheckedTrainer):
    """Trains on `answer_loss`, divided by the labelled tokens of the whole step, however it is split up.

    Validation divides by the labelled tokens of all validation rows.
    """

    control: Any

    def __init__(self, *args: Any, bf16_compute: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.model_accepts_loss_kwargs = True  # so that the Trainer counts a step's labelled tokens
        self._bf16_compute = bf16_compute
        self._through_head = self._head_is_all()

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | None = None,
    ) -> Any:
        """Give the mean loss of a labelled token; the Trainer calls this for training."""
        # Several processes exchange gradients in the forward of what wraps the model.
        through_head = self._through_head and model is self.model and not self.is_sharded
        loss = self._summed_loss(model, inputs, through_head)
        if num_items_in_batch is None:
            mean = loss / (inputs["labels"] != IGNORED).sum()
        else:  # the tokens of all processes, whose gradients and losses are averaged
            mean = loss * self.accelerator.num_processes / num_items_in_batch
        return (mean, {}) if return_outputs else mean

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Measure the mean loss of a labelled token of all validation rows, each process on its batches, and log it."""
        model = self._measured_model().eval()
        through_head = self._through_head and not self.is_sharded
        nats_and_tokens = torch.zeros(2, dtype=torch.float64, device=self.args.device)
        size = self.args.per_device_eval_batch_size
        for round_start in range(0, len(self.eval_dataset), n_processes() * size):
            start = round_start + rank() * size
            counts = start < len(self.eval_dataset)  # where not, it reads all the same: sharded weights need all
            batch = self.data_collator(self.eval_dataset[start : start + size] if counts else self.eval_dataset[:1])
            inputs = {name: tensor.to(self.args.device) for name, tensor in batch.items()}
            with torch.no_grad():
                nats_and_tokens[0] += counts * self._summed_loss(model, inputs, through_head)
            nats_and_tokens[1] += counts * (inputs["labels"] != IGNORED).sum()
        nats, tokens = self.accelerator.reduce(nats_and_tokens, "sum").tolist()
        metrics = {"eval_loss": nats / tokens}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _summed_loss(self, model: Any, inputs: dict[str, torch.Tensor], through_head: bool) -> torch.Tensor:
        with torch.autocast(self.args.device.type, dtype=torch.bfloat16, enabled=self._bf16_compute):
            return answer_loss(model, inputs, through_head)

    def _head_is_all(self) -> bool:
        """Tell whether the logits are the output head's: some architectures scale or cap them after it."""
        row = self.train_dataset[0]
        ids = torch.tensor([row.input_ids[-8:]], device=self.args.device)
        inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": ids}
        self.model.eval()
        with torch.no_grad():
            short, full = (answer_loss(self.model, inputs, through_head) for through_head in (True, False))
        return bool(torch.isclose(short, full, rtol=1e-2))


class EarlyStop(TrainerCallback):  # type: ignore[misc]  # transformers is not typed
    """Ends a training when `patience` validations in a row were not better than the best before them.

    It looks at the Trainer's own history, which checkpoints keep: a resumed training stops where an unbroken one does.
    """

    def __init__(self, patience: int) -> None:
        self._patience = patience

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Look back."""
        losses = [entry["eval_loss"] for entry in state.log_history if "eval_loss" in entry]
        before, last = losses[: -self._patience], losses[-self._patience :]
        if before and min(last) >= min(before):
            control.should_training_stop = True


class MetricsFile(TrainerCallback):  # type: ignore[misc]  # transformers is not typed
    """Appends a JSON line for each logging step and each validation to `path`, and shows a progress bar.

    `tokens` holds the number of tokens that were read by the end of each step, from step 0 on. Of several processes the
    main one writes. A line's `part` counts how often the training was resumed before it.
    """

    def __init__(self, path: Path, tokens: Sequence[int], progress: bool) -> None:
        self._path = path
        self._tokens = tokens
        self._start = time.monotonic()
        self._bar = tqdm(desc="training", unit="step", disable=None if progress else True)
        self._seconds_before = 0.0
        self._part = 0

    def keep_until(self, step: int) -> None:
        """Before a training goes on at `step` (-1: from its start): drop later lines, count tokens and seconds on."""
        kept = [line for line in read_metrics(self._path) if line["step"] <= step]
        write_metrics(kept, self._path)
        if kept:
            self._seconds_before = kept[-1]["seconds"]
            self._part = kept[-1].get("part", 0) + 1

    @property
    def seconds(self) -> float:
        """The time since the training began, without the pause before a resumption."""
        return self._seconds_before + time.monotonic() - self._start

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Set the bar to the work ahead."""
        self._bar.reset(total=state.max_steps)
        self._bar.update(state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Move the bar."""
        self._bar.update()

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **kwargs: Any) -> None:
        """Write what was measured."""
        line: dict[str, float] = {"step": state.global_step}
        if "loss" in logs:
            line |= {"loss": logs["loss"], "learning_rate": logs["learning_rate"]}
        elif "eval_loss" in logs:
            line |= {"validation_loss": logs["eval_loss"]}
        else:
            return
        self._bar.set_postfix({key: f"{line[key]:.4f}" for key in ("loss", "validation_loss") if key in line})
        line |= {"tokens": self._tokens[state.global_step], "seconds": round(self.seconds, 2)}
        line |= {"part": self._part} if self._part else {}
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Leave the bar as it is."""
        self._bar.close()
