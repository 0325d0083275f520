# ruff: noqa: ARG002 - the Trainer decides which arguments its callbacks take
"""What this project adds to transformers' Trainer: the loss on answers alone, and a metrics file.

It is imported by `sft` when a training begins, since it brings torch and transformers with it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm
from transformers import Trainer, TrainerCallback

from finetune.data import IGNORED
from finetune.record import read_metrics, write_metrics

__all__ = ["AnswerTrainer", "MetricsFile", "answer_loss"]


def answer_loss(model: Any, inputs: dict[str, torch.Tensor], through_head: bool) -> torch.Tensor:
    """Sum the cross entropy (nats) over the labelled tokens, shape ().

    `through_head`: the vocabulary's logits are computed at labelled positions only, which spares most of the work where
    prompts are long and answers short.
    """
    causal = model.get_base_model() if hasattr(model, "get_base_model") else model
    labels = inputs["labels"][:, 1:]
    counted = labels != IGNORED
    given = {name: value for name, value in inputs.items() if name != "labels"} | {"use_cache": False}
    if through_head:
        hidden = causal.base_model(**given).last_hidden_state[:, :-1]  # (n_rows, longest - 1, dim)
        logits = causal.get_output_embeddings()(hidden[counted])
    else:
        logits = causal(**given).logits[:, :-1][counted]
    return torch.nn.functional.cross_entropy(logits.float(), labels[counted], reduction="sum")


class AnswerTrainer(Trainer):  # type: ignore[misc]  # transformers is not typed
    """Trains on `answer_loss`, divided by the labelled tokens of the whole step, however it is split up."""

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
        """Give the mean loss of a labelled token; the Trainer calls this for training and for validation."""
        with torch.autocast(self.args.device.type, dtype=torch.bfloat16, enabled=self._bf16_compute):
            loss = answer_loss(model, inputs, self._through_head)
        mean = loss / (inputs["labels"] != IGNORED).sum() if num_items_in_batch is None else loss / num_items_in_batch
        return (mean, {}) if return_outputs else mean

    def _head_is_all(self) -> bool:
        """Tell whether the logits are the output head's: some architectures scale or cap them after it."""
        row = self.train_dataset[0]
        ids = torch.tensor([row.input_ids[-8:]], device=self.args.device)
        inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": ids}
        self.model.eval()
        with torch.no_grad():
            short, full = (answer_loss(self.model, inputs, through_head) for through_head in (True, False))
        return bool(torch.isclose(short, full, rtol=1e-2))


class MetricsFile(TrainerCallback):  # type: ignore[misc]  # transformers is not typed
    """Appends a JSON line for each logging step and each validation to `path`, and shows a progress bar.

    `tokens` holds the number of tokens that were read by the end of each step, from step 0 on.
    """

    def __init__(self, path: Path, tokens: Sequence[int], progress: bool) -> None:
        self._path = path
        self._tokens = tokens
        self._start = time.monotonic()
        self._bar = tqdm(desc="training", unit="step", disable=None if progress else True)
        self._seconds_before = 0.0

    def keep_until(self, step: int) -> None:
        """Before a training goes on at `step` (-1: from its start): drop later lines, count tokens and seconds on."""
        kept = [line for line in read_metrics(self._path) if line["step"] <= step]
        write_metrics(kept, self._path)
        if kept:
            self._seconds_before = kept[-1]["seconds"]

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
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Leave the bar as it is."""
        self._bar.close()
