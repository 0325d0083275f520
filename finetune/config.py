"""The settings of supervised fine-tuning, in one frozen value whose ranges are checked when it is made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from finetune.ranges import Range, at_least, check_ranges, one_of, over_zero, shares
from kb_index.errors import InputError

__all__ = ["LORA_ON", "TRACKERS", "SFTConfig"]

LORA_ON = ("all", "attention")
TRACKERS = ("none", "wandb", "tensorboard", "trackio")
RANGES: tuple[Range, ...] = (
    *at_least(1, "rank", "alpha", "rows_per_step", "rows_at_once", "max_validation_rows"),
    *at_least(1, "log_every", "validate_every", "save_every", "max_steps", "patience"),
    *over_zero("learning_rate", "epochs", "max_grad_norm"),
    *shares("dropout", "warmup_share", "validation_share"),
    ("weight_decay", lambda value: value >= 0, "0 or more"),
    *at_least(16, "max_tokens", why=", for a question and an answer"),
    one_of("lora_on", LORA_ON),
    one_of("report_to", TRACKERS),
)


@dataclass(frozen=True, slots=True)
class SFTConfig:
    """How a causal model is fine-tuned on prompts and answers.

    What differs from the defaults of transformers' Trainer: a learning rate for LoRA (1e-3, not 5e-5), 8 rows a step,
    one epoch, batches of rows of like length, bfloat16 where the processor computes in it; and, as LLaMA was trained
    (Touvron et al. 2023, arXiv:2302.13971, section 2.3): AdamW with betas 0.9 and 0.95, weight decay 0.1, gradients
    clipped to norm 1, warm-up, then a cosine down to a tenth of the learning rate.
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
    lora_on: str = "all"
    """Which linear layers get LoRA: "all" but the output head, or those of "attention" only, as in the LoRA paper."""
    four_bit: bool = False
    """Hold the frozen weights in 4 bits (QLoRA, Dettmers et al. 2023, arXiv:2305.14314); needs a GPU."""
    gradient_checkpointing: bool = False
    """Compute activations again in the backward pass instead of keeping them: less memory, about a third slower."""
    rank: int = 16
    alpha: int = 32
    dropout: float = 0.0
    learning_rate: float = 1e-3
    rows_per_step: int = 8
    rows_at_once: int = 8
    """Rows in the memory of one process together; `rows_per_step` is a multiple of it times the processes."""
    epochs: float = 1.0
    max_steps: int | None = None
    """Train this many steps, however many epochs that is."""
    warmup_share: float = 0.05
    weight_decay: float = 0.1
    max_grad_norm: float = 1.0
    patience: int | None = None
    """Stop when so many validations in a row brought no lower loss, and keep the weights of the best one after the
    start; None: never."""
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
    """Where else metrics go: one of `TRACKERS`."""

    def __post_init__(self) -> None:
        check_ranges(self, RANGES)
        if self.rows_per_step % self.rows_at_once:
            raise InputError(
                f"rows_at_once={self.rows_at_once}: expected a divisor of rows_per_step={self.rows_per_step}"
            )
        if self.full and self.adapter is not None:
            raise InputError("full=True with an adapter: expected one of the two; merge the adapter or leave it out")
        if self.full and self.four_bit:
            raise InputError("full=True with four_bit=True: weights of 4 bits cannot be trained; leave one of them out")
        if self.patience is not None and not self.validation_share:
            raise InputError(f"patience={self.patience} without validation rows: expected a validation_share over 0")
