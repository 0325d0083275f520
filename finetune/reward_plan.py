"""What the training of a reward model will take, told before any weights are loaded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from finetune.comparisons import encode_comparisons, grouped, hold_out
from finetune.config import SFTConfig
from finetune.data import n_steps
from finetune.families import facts_of
from finetune.models import with_new_adapter
from finetune.plan import ADAM, FLOAT32, counted, kept_bytes, model_lines, without_weights
from finetune.preferences import Preference
from finetune.reward import is_controlled
from finetune.reward_config import RewardConfig
from finetune.training_folder import check_training_folder
from kb_index.errors import InputError
from kbqa_agent.causal_models import check_adapter, fast_dtype, quiet
from kbqa_agent.tokenizing import context_length

__all__ = ["reward_plan_lines"]


def reward_plan_lines(config: RewardConfig, preferences: Sequence[Preference]) -> list[str]:
    """Write the plan of a training on these preferences for people, a fact a line.

    Activations are those of the longest prompts with all their answers in one row, as most models can read them.

    Raises: as `train_reward_model`, but for what only the weights and the rows themselves can tell.
    """
    comparisons = grouped(preferences)
    if len(comparisons) < 2:
        raise InputError(f"{len(comparisons)} prompts with a pair; expected at least 2, to train and to measure")
    check_training_folder(config.out)
    network, tokenizer = without_weights(config.model, fast_dtype())
    facts, dtype = facts_of(network, tokenizer), network.dtype
    max_tokens = min(config.max_tokens, context_length(network))
    training, held_out = (
        encode_comparisons(tokenizer, part, max_tokens)
        for part in hold_out(comparisons, config.held_out_share, config.max_held_out, config.seed)
    )
    tuned = _with_adapter(network, config)
    body, head = counted(tuned.get_base_model().base_model), network.config.hidden_size
    n_frozen, n_trainable = body[0] - body[1], body[1] + head
    lengths = [row.length for row in training.rows]
    parts = {
        "weights": n_frozen * dtype.itemsize + n_trainable * FLOAT32,
        "gradients": n_trainable * FLOAT32,
        "optimizer": n_trainable * ADAM,
        "activations": kept_bytes(tuned.get_base_model(), config.rows_at_once, max(lengths, default=max_tokens)),
    }
    targets = sorted(tuned.peft_config["default"].target_modules)
    steps = n_steps(config.max_steps, config.epochs, len(lengths), config.rows_per_step)
    again = "; as many again for the control" if is_controlled(config, preferences) else ""
    pairs, measured = (sum(len(row.pairs) for row in part.rows) for part in (training, held_out))
    return [
        *model_lines(facts, targets, (n_frozen + n_trainable, n_trainable), parts, str(dtype).removeprefix("torch.")),
        f"rows          {len(lengths):,} of {pairs:,} pairs, and {measured:,} pairs to measure by, the longest of "
        f"{max(lengths, default=0):,} tokens; {training.n_cut + held_out.n_cut:,} pairs lose triples, "
        f"{training.n_dropped + held_out.n_dropped:,} do not fit",
        f"an epoch      {sum(lengths):,} tokens",
        f"steps         {steps:,}{again}",
    ]


def _with_adapter(network: Any, config: RewardConfig) -> Any:
    """The network with an adapter like that of the training, which begins as the given one."""
    if config.adapter is None:
        settings = SFTConfig(data=config.out, out=config.out, rank=config.rank, alpha=config.alpha, dropout=0.0)
        return with_new_adapter(network, settings)
    from peft import LoraConfig, get_peft_model

    settings = LoraConfig.from_pretrained(str(check_adapter(config.adapter).parent))
    settings.inference_mode, settings.base_model_name_or_path = False, network.name_or_path
    with quiet():
        return get_peft_model(network, settings)
