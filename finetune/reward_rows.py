"""Preferences -> the rows that a reward model learns from and is measured on, for the training and for its plan."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from finetune.comparisons import Comparison, EncodedComparisons, encode_comparisons, grouped, hold_out
from finetune.preferences import Preference
from finetune.reward_config import RewardConfig
from kb_index.errors import InputError

__all__ = ["encoded_parts", "parted"]

Parts = tuple[Sequence[Comparison], Sequence[Comparison]]
"""What is trained on, and what is held out."""


def parted(preferences: Iterable[Preference], config: RewardConfig) -> Parts:
    """Group preferences by their prompts, and hold some out. Raises: InputError with fewer than two prompts."""
    comparisons = grouped(preferences)
    if len(comparisons) < 2:
        raise InputError(f"{len(comparisons)} prompts with a pair; expected at least 2, to train and to measure")
    return hold_out(comparisons, config.held_out_share, config.max_held_out, config.seed)


def encoded_parts(tokenizer: Any, parts: Parts, max_tokens: int) -> tuple[EncodedComparisons, EncodedComparisons]:
    """Encode what is trained on and what is held out. Raises: InputError when nothing of one of them fits."""
    training, held_out = (encode_comparisons(tokenizer, part, max_tokens) for part in parts)
    if not training.rows or not held_out.rows:
        raise InputError(
            f"{len(training.rows)} prompts to train on and {len(held_out.rows)} to measure by fit into {max_tokens} "
            "tokens; expected some of each; raise --max-tokens, or give more pairs"
        )
    return training, held_out
