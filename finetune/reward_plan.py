"""What the training of a reward model will take, told before any weights are loaded."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from finetune.data import n_steps
from finetune.families import facts_of
from finetune.plan import counted, kept_bytes, memory_parts, model_lines, without_weights
from finetune.preferences import Preference
from finetune.reward_config import RewardConfig
from finetune.reward_network import reward_base, with_reward_adapter
from finetune.reward_rows import encoded_parts, parted
from finetune.trackers import check_tracker
from finetune.training_folder import check_training_folder
from kbqa_agent.causal_models import fast_dtype
from kbqa_agent.tokenizing import context_length

__all__ = ["reward_plan_lines"]


def reward_plan_lines(config: RewardConfig, preferences: Sequence[Preference]) -> list[str]:
    """Write the plan of a training on these preferences for people, a fact a line.

    Activations are those of the longest prompts with all their answers in one row, as most models can read them.

    Raises: InputError, ModelError, MissingExtraError, StorageError where `train_reward_model` would before it trains.
    """
    check_tracker(config.report_to)
    parts = parted(preferences, config)
    check_training_folder(config.out)
    causal, tokenizer = without_weights(config.model, fast_dtype())
    facts, dtype = facts_of(causal, tokenizer), causal.dtype
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*copying from a non-meta parameter.*")  # there are no weights
        base = reward_base(causal, tokenizer, config.model, config.adapter)
    training, held_out = encoded_parts(tokenizer, parts, min(config.max_tokens, context_length(causal)))
    tuned = with_reward_adapter(base, config.rank, config.alpha)
    n_parameters, n_trainable = counted(tuned)
    lengths = [row.length for row in training.rows]
    activations = kept_bytes(tuned.get_base_model(), config.rows_at_once, max(lengths))
    memory = memory_parts((n_parameters - n_trainable) * dtype.itemsize, n_trainable, activations)
    n_pairs, n_measured = (sum(len(row.pairs) for row in part.rows) for part in (training, held_out))
    steps = n_steps(config.max_steps, config.epochs, len(lengths), config.rows_per_step)
    again = "; as many again for the control" if config.has_control(len(preferences)) else ""
    return [
        *model_lines(facts, base.layers, (n_parameters, n_trainable), memory, str(dtype).removeprefix("torch.")),
        f"rows          {len(lengths):,} of {n_pairs:,} pairs, and {n_measured:,} pairs to measure by, the longest of "
        f"{max(lengths):,} tokens; {training.n_cut + held_out.n_cut:,} pairs lose triples, "
        f"{training.n_dropped + held_out.n_dropped:,} do not fit",
        f"an epoch      {sum(lengths):,} tokens",
        f"steps         {steps:,}{again}",
    ]
