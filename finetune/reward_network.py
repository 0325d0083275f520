"""The network of a reward model: a causal model of any family, with a head of one number in place of its own.

Saving, opening and asking a trained one is `reward_model`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from finetune.comparisons import TokenComparison, collate_comparisons
from finetune.models import linear_layers
from kb_index.errors import MissingExtraError, ModelError
from kbqa_agent.causal_models import load_model, quiet, with_adapter

__all__ = [
    "RewardBase",
    "can_share_prompts",
    "moved",
    "open_reward_base",
    "reward_base",
    "rewards_of",
    "with_reward_adapter",
]


class RewardBase(NamedTuple):
    """A causal model with a new head of one number instead of its own, and its tokenizer."""

    network: Any
    tokenizer: Any
    layers: list[str]
    """The names of the linear layers that LoRA goes to."""
    transposed: bool
    tuned: dict[str, Any] | None
    """The LoRA tensors of a tuned generator that the reward model begins from."""
    rank: int | None
    alpha: int | None
    """Those of the tuned generator's adapter."""


def open_reward_base(model: str | Path | None, adapter: Path | None = None, progress: bool = True) -> RewardBase:
    """Open a causal model of any family and put a new head of one number, drawn from torch's seed, on its body.

    `adapter` is that of a tuned generator, from which training then begins.

    Raises:
        MissingExtraError: the packages for models are not installed.
        ModelError: the model cannot be loaded, is "none", or its family has no sequence classification.
    """
    if model == "none":
        raise ModelError("model 'none': training needs a model; name one with --model, such as 'embedded'")
    return reward_base(*load_model(model, progress=progress), model, adapter)


def reward_base(causal: Any, tokenizer: Any, model: str | Path | None, adapter: Path | None) -> RewardBase:
    """Do what `open_reward_base` does with a causal model that is open, or built without weights; `model` names it."""
    import torch
    from transformers import AutoModelForSequenceClassification

    layers, transposed = linear_layers(causal)
    tensors, settings = None, None
    if adapter is not None:
        causal, tensors, settings = _taken_off(with_adapter(causal, adapter))
        layers = sorted(settings.target_modules)
    causal.config.num_labels = 1
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    causal.config.pad_token_id = tokenizer.pad_token_id
    try:
        with torch.device("meta"), quiet():
            network = AutoModelForSequenceClassification.from_config(causal.config)
        width = network.score.in_features
        setattr(network, network.base_model_prefix, causal.base_model)
    except (ValueError, AttributeError) as error:
        raise ModelError(f"model {str(model)!r}: its architecture has no head for rewards; choose another") from error
    network.__class__ = type(f"Rewarding{type(network).__name__}", (type(network),), {"forward": _rewards})
    network.score = torch.nn.Linear(width, 1, bias=False, device=causal.device)
    torch.nn.init.normal_(network.score.weight, std=(width + 1) ** -0.5)
    network.name_or_path = causal.name_or_path
    rank, alpha = (settings.r, settings.lora_alpha) if settings else (None, None)
    return RewardBase(network, tokenizer, layers, transposed, tensors, rank, alpha)


def with_reward_adapter(base: RewardBase, rank: int, alpha: int) -> Any:
    """Put a LoRA adapter on all linear layers; it and the head are trained in float32.

    It is drawn from torch's seed or, where the base was opened with a tuned generator's adapter, begins as that one,
    whose rank and alpha then count.

    Reference: Ouyang et al. 2022, arXiv:2203.02155, section 3.5: a reward model begins from the supervised one.
    """
    try:
        from peft import LoraConfig, TaskType, get_peft_model, set_peft_model_state_dict
    except ImportError as error:
        raise MissingExtraError("models", error.name or "peft") from error
    settings = LoraConfig(
        r=base.rank or rank,
        lora_alpha=base.alpha or alpha,
        target_modules=base.layers,
        fan_in_fan_out=base.transposed,
        task_type=TaskType.SEQ_CLS,
        modules_to_save=["score"],
    )
    with quiet():
        tuned = get_peft_model(base.network, settings)
        if base.tuned is not None:
            head = {"base_model.model.score.weight": base.network.score.weight}  # peft asks for the whole state
            set_peft_model_state_dict(tuned, base.tuned | head)
    # Checkpoints name the folder here: for a name on the hub, peft would ask the hub about each of them.
    tuned.peft_config["default"].base_model_name_or_path = base.network.name_or_path
    for parameter in tuned.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    return tuned


def rewards_of(network: Any, inputs: dict[str, Any]) -> Any:
    """Rewards of the answers that end at `inputs["ends"]`, a float32 tensor (n_answers,).

    `network` may be within an adapter, and within what shares it between processes.
    """
    names = ("input_ids", "attention_mask", "position_ids", "ends")
    return network(**{name: inputs[name] for name in names if name in inputs})


def _rewards(network: Any, input_ids: Any, ends: Any, **others: Any) -> Any:
    """What `forward` of a reward model does, in place of giving logits at the last token of each row."""
    import torch

    known = {name: others[name] for name in ("attention_mask", "position_ids") if others.get(name) is not None}
    hidden = network.base_model(input_ids, **known, use_cache=False).last_hidden_state  # (n_rows, longest, dim)
    rows, columns = ends.unbind(1)
    # In bfloat16 the rewards of like answers would round to the same number.
    with torch.autocast(hidden.device.type, enabled=False):
        return network.score(hidden[rows, columns].float())[:, 0]


def can_share_prompts(network: Any, row_tokens: int) -> bool:
    """Tell whether answers behind one prompt, `row_tokens` in all, are read as if each stood alone.

    Not every architecture can mask so; and GPT-Neo's local attention counts the tokens of the other answers as well.
    """
    import torch

    windows = (getattr(network.config, name, None) for name in ("window_size", "sliding_window"))
    if any(window is not None and window < row_tokens for window in windows):
        return False
    probe = TokenComparison([3, 4, 5, 6, 7], [[8, 9, 10], [11, 12], [9, 8, 7]], [], 0)
    network.eval()
    try:
        with torch.inference_mode():
            shared, alone = (
                rewards_of(network, moved(collate_comparisons([probe], layout), network.device))
                for layout in (True, False)
            )
    except (TypeError, ValueError, RuntimeError):
        return False
    return bool(torch.allclose(shared, alone, atol=0.02, rtol=0.02))


def moved(inputs: dict[str, Any], device: Any) -> dict[str, Any]:
    """Put the tensors of a batch on a device."""
    return {name: tensor.to(device) for name, tensor in inputs.items()}


def _taken_off(tuned: Any) -> tuple[Any, dict[str, Any], Any]:
    """Part a model with an adapter into the plain model, the adapter's tensors and its settings."""
    from peft import get_peft_model_state_dict

    tensors = {
        name: tensor.clone() for name, tensor in get_peft_model_state_dict(tuned, save_embedding_layers=False).items()
    }
    return tuned.unload(), tensors, tuned.peft_config["default"]
