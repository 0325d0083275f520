"""What a training cannot go on from, said in one line with the setting that helps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from finetune.checkpoints import last_checkpoint
from finetune.config import SFTConfig
from kb_index.errors import TrainingError
from kbqa_agent.causal_models import is_out_of_memory

__all__ = ["memory_errors", "no_number", "spare_memory"]


@contextmanager
def memory_errors(advice: str) -> Iterator[None]:
    """Turn what torch raises when memory is full into a `TrainingError` that says which setting to lower."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:  # torch.OutOfMemoryError is a RuntimeError
        if not is_out_of_memory(error):
            raise
        raise TrainingError(f"out of memory; {advice}") from error


def spare_memory(config: SFTConfig) -> str:
    """Say which setting of a training to lower first when memory is full."""
    if config.rows_at_once > 1:
        return (
            f"lower --rows-at-once to {config.rows_at_once // 2} (now {config.rows_at_once}), "
            "which leaves the steps as they are"
        )
    if not config.gradient_checkpointing:
        return "add --gradient-checkpointing"
    if config.full:
        return "train a LoRA adapter instead: leave --full out"
    return f"lower --max-tokens to {config.max_tokens // 2}, or add --four-bit where there is a GPU"


def no_number(step: int, checkpoints: Path) -> TrainingError:
    """Make the error of a training whose gradients are NaN or infinite in the step after `step`."""
    good = last_checkpoint(checkpoints)
    kept = f"'{good}' is the last good checkpoint" if good else "there is no checkpoint before it"
    way_on = f" and go on from it: --adapter '{good}' (or --model, where all weights are trained) and another --out"
    advice = "lower --learning-rate" + (way_on if good else "")
    return TrainingError(f"step {step + 1}: the loss or its gradient is not a number; {kept}; {advice}")
