"""The settings of supervised fine-tuning, in one frozen value whose ranges are checked when it is made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kb_index.errors import InputError

__all__ = ["SFTConfig"]


@dataclass(frozen=True, slots=True)
class SFTConfig:
    """How a causal model is fine-tuned on prompts and answers.

    What differs from the defaults of transformers' Trainer: a learning rate for LoRA (1e-3, not 5e-5), cosine decay
    with warm-up, 8 rows a step, one epoch, batches of rows of like length, bfloat16 where the processor computes in it.
    """

    data: Path
    """A text2text file: the rows to train on, as `finetune.questions` writes it or as the user gave it."""
    out: Path
    """The folder for adapter, metrics, loss curve, record and checkpoints."""
    model: str | None = None
    """A Hugging Face name, a folder or a .gguf file; None is the embedded model."""
    adapter: Path | None = None
    """An adapter to go on from; None starts a new one."""
    full: bool = False
    """Train all weights and save a whole model, instead of a LoRA adapter."""
    rank: int = 16
    alpha: int = 32
    dropout: float = 0.0
    learning_rate: float = 1e-3
    rows_per_step: int = 8
    rows_at_once: int = 8
    """Rows in memory together; a divisor of `rows_per_step`."""
    epochs: float = 1.0
    max_steps: int | None = None
    """Train this many steps, however many epochs that is."""
    warmup_share: float = 0.05
    max_grad_norm: float = 1.0
    max_tokens: int = 512
    """The longest row, prompt and answer together; longer prompts lose triples, never the question."""
    validation_share: float = 0.05
    max_validation_rows: int = 200
    log_every: int = 5
    validate_every: int = 100
    save_every: int = 50
    seed: int = 0
    resume: bool = False
    """Go on from the last checkpoint in `out`."""
    report_to: str = "none"
    """Where else metrics go: a tracker that transformers knows, such as wandb."""

    def __post_init__(self) -> None:
        at_least_one = ("rank", "alpha", "rows_per_step", "rows_at_once", "max_validation_rows")
        for name in (*at_least_one, "log_every", "validate_every", "save_every"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}={getattr(self, name)}: expected at least 1")
        for name in ("learning_rate", "epochs", "max_grad_norm"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name}={getattr(self, name)}: expected a number over 0")
        for name in ("dropout", "warmup_share", "validation_share"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise InputError(f"{name}={getattr(self, name)}: expected a share from 0 to under 1")
        if self.max_steps is not None and self.max_steps < 1:
            raise InputError(f"max_steps={self.max_steps}: expected at least 1")
        if self.max_tokens < 16:
            raise InputError(f"max_tokens={self.max_tokens}: expected at least 16, for a question and an answer")
        if self.rows_per_step % self.rows_at_once:
            raise InputError(
                f"rows_at_once={self.rows_at_once}: expected a divisor of rows_per_step={self.rows_per_step}"
            )
        if self.full and self.adapter is not None:
            raise InputError("full=True with an adapter: expected one of the two; merge the adapter or leave it out")
