"""The settings of a training of BERT, in one frozen value whose ranges are checked when it is made."""

from __future__ import annotations

from dataclasses import dataclass

from finetune.ranges import at_least, check_ranges, shares

__all__ = ["SCRATCH", "BertTraining"]

SCRATCH = "scratch"
RATE, RATE_FROM_SCRATCH = 5e-5, 5e-4


@dataclass(frozen=True, slots=True)
class BertTraining:
    """How BERT is trained on questions; `negatives` are wrong attributes of each kind a question and epoch."""

    model: str = SCRATCH
    """Folder or hub name of an encoder; "scratch": a small one of random weights, over characters."""
    layers: int = 2
    """Of an encoder from scratch, as `width`."""
    width: int = 192
    """Of an encoder's hidden states; a multiple of 64, or less."""
    epochs: int = 3
    rows_per_step: int = 32
    negatives: int = 2
    learning_rate: float | None = None
    """The highest rate; None: 5e-5 for a trained encoder, 5e-4 from scratch."""
    warmup_share: float = 0.1
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    held_out: int = 1000
    """About how many questions, at most, tell which epoch is best and how sure the network makes."""
    held_out_share: float = 0.2
    """The share of all questions that they are, at most."""
    seed: int = 0

    def __post_init__(self) -> None:
        rate = ("learning_rate", lambda value: value is None or value > 0, "a number over 0")
        counts = at_least(1, "layers", "width", "epochs", "rows_per_step", "negatives")
        fits = ("width", lambda value: value <= 64 or value % 64 == 0, "a multiple of 64, or less")
        check_ranges(self, (*counts, fits, *at_least(2, "held_out"), *shares("held_out_share", "warmup_share"), rate))

    @property
    def rate(self) -> float:
        """The highest learning rate."""
        return self.learning_rate or (RATE_FROM_SCRATCH if self.model == SCRATCH else RATE)
