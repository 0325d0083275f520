"""The settings of a reward model's training, in one frozen value whose ranges are checked when it is made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from finetune.config import TRACKERS
from finetune.ranges import Range, at_least, check_ranges, one_of, over_zero, shares
from kb_index.errors import InputError

__all__ = ["RewardConfig"]

CONTROL_UP_TO = 1000
"""Up to so many pairs, the control on shuffled labels is trained unless it is said not to: it doubles the cost."""
RANGES: tuple[Range, ...] = (
    *at_least(1, "rank", "alpha", "rows_per_step", "rows_at_once", "max_held_out"),
    *at_least(1, "log_every", "validate_every", "save_every", "max_steps"),
    *over_zero("learning_rate", "epochs", "max_grad_norm"),
    *shares("warmup_share"),
    ("held_out_share", lambda value: 0.0 < value < 1.0, "a share over 0 and under 1"),
    *at_least(16, "max_tokens", why=", for a question and an answer"),
    one_of("report_to", TRACKERS),
)


@dataclass(frozen=True, slots=True)
class RewardConfig:
    """How a reward model is trained on preferences.

    What differs from the defaults of transformers' Trainer: a learning rate for LoRA (5e-4, not 5e-5), cosine decay
    with warm-up, 8 prompts a step, one epoch, batches of rows of like length.
    """

    out: Path
    """The folder for the model, metrics, curve, record and checkpoints."""
    model: str | None = None
    """A Hugging Face name, a folder or a .gguf file; None is the embedded model."""
    adapter: Path | None = None
    """An adapter of a tuned generator to begin from, or "shipped" for that in the package; None draws a new one."""
    rank: int = 16
    alpha: int = 32
    learning_rate: float = 5e-4
    rows_per_step: int = 8
    """Prompts with all their answers, of which one optimizer step learns."""
    rows_at_once: int = 2
    """Prompts in memory together; a divisor of `rows_per_step`."""
    epochs: float = 1.0
    max_steps: int | None = None
    """Train this many steps, however many epochs that is."""
    warmup_share: float = 0.05
    max_grad_norm: float = 1.0
    max_tokens: int = 512
    """The longest prompt with one answer; longer prompts lose triples, never the question or the answer."""
    held_out_share: float = 0.2
    """The share of prompts, with all their pairs, that the accuracy is measured on."""
    max_held_out: int = 200
    control: bool | None = None
    """Also train on shuffled labels and measure that; None: where there are at most `CONTROL_UP_TO` pairs."""
    log_every: int = 5
    validate_every: int = 50
    save_every: int = 25
    seed: int = 0
    resume: bool = False
    """Go on from the last checkpoint in `out`."""
    report_to: str = "none"
    """Where else metrics go: one of `finetune.config.TRACKERS`."""

    def has_control(self, n_pairs: int) -> bool:
        """Whether a training on shuffled labels follows that on so many pairs."""
        return self.control if self.control is not None else n_pairs <= CONTROL_UP_TO

    def __post_init__(self) -> None:
        check_ranges(self, RANGES)
        if self.rows_per_step % self.rows_at_once:
            raise InputError(
                f"rows_at_once={self.rows_at_once}: expected a divisor of rows_per_step={self.rows_per_step}"
            )
