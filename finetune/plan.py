"""What a training will take, told before any weights are loaded: parameters, memory by part, tokens an epoch.

The network is built without weights (on torch's device "meta") from the model's settings. The activations of a step
are counted by running its forward pass there and adding up what is kept for the backward pass; attention counts as
fused kernels keep it (query, key, value and output).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune.config import SFTConfig
from finetune.data import IGNORED, EncodedRows, encode_rows, n_for_validation, n_steps
from finetune.families import ModelFacts, facts_of
from finetune.models import lora_targets, with_new_adapter
from finetune.training_folder import check_training_folder
from kb_index.errors import MissingExtraError, ModelError
from kbqa_agent.causal_models import check_adapter, fast_dtype, locate_model, quiet, set_end_token
from kbqa_agent.tokenizing import context_length

__all__ = [
    "GIB",
    "Plan",
    "counted",
    "kept_bytes",
    "memory_parts",
    "model_lines",
    "plan_lines",
    "plan_training",
    "without_weights",
]

FLOAT32 = 4
ADAM = 8
"""Bytes for the two running means of a trained parameter."""
FOUR_BIT = 0.516
"""Bytes of a packed weight with its twice quantised scales: 4.127 bits (Dettmers et al. 2023, section 3)."""
LOGIT_COPIES = 3
GIB = 2**30


@dataclass(frozen=True, slots=True)
class Plan:
    """A training's size; bytes are those of one process, tokens and steps those of one epoch of `n_rows` rows.

    `n_validation` rows beside them are not trained on.
    """

    facts: ModelFacts
    lora_targets: list[str]
    dtype: str
    n_parameters: int
    n_trainable: int
    weights: int
    gradients: int
    optimizer: int
    activations: int
    n_rows: int
    n_validation: int
    n_cut: int
    n_dropped: int
    n_tokens: int
    n_answer_tokens: int
    longest: int
    steps: int
    cached: int
    """Bytes of the keys and values that writing keeps of each token."""


def plan_training(
    config: SFTConfig, conversations: Sequence[Sequence[tuple[str, str]]], n_rows: int | None = None, dtype: Any = None
) -> Plan:
    """Plan a training on these rows, or on `n_rows` of which they are a sample.

    `dtype` is that of frozen weights and of activations, by default what this machine computes in.

    Raises: MissingExtraError; ModelError, StorageError where the training would refuse the adapter or `config.out`.
    """
    check_training_folder(config.out)
    if config.adapter is not None:
        check_adapter(config.adapter)
    network, tokenizer = without_weights(config.model, dtype or fast_dtype())
    targets = [] if config.full else lora_targets(network, config.lora_on)[0]
    n_own, packed = sum(p.numel() for p in network.parameters()), _packed_weights(network) if config.four_bit else 0
    facts = facts_of(network, tokenizer)
    rows = encode_rows(tokenizer, conversations, min(config.max_tokens, context_length(network)))
    tuned = network if config.full else with_new_adapter(network, config)
    n_parameters, n_trainable = counted(tuned)
    n_usable = round(len(rows.rows) * (n_rows or len(conversations)) / max(1, len(conversations)))
    n_validation = n_for_validation(n_usable, config.validation_share, config.max_validation_rows)
    n_trained_rows = n_usable - n_validation
    frozen = 0 if config.full else round((n_own - packed) * _itemsize(network) + packed * FOUR_BIT)
    return Plan(
        facts,
        targets,
        str(network.dtype).removeprefix("torch."),
        n_parameters,
        n_trainable,
        **memory_parts(frozen + _copies(config, network, n_trainable), n_trainable, _activations(tuned, config, rows)),
        n_rows=n_trained_rows,
        n_validation=n_validation,
        n_cut=rows.n_cut,
        n_dropped=rows.n_dropped,
        n_tokens=_scaled([len(row.input_ids) for row in rows.rows], n_trained_rows),
        n_answer_tokens=_scaled([_n_labelled(row.labels) for row in rows.rows], n_trained_rows),
        longest=max((len(row.input_ids) for row in rows.rows), default=0),
        steps=n_steps(config.max_steps, config.epochs, n_trained_rows, config.rows_per_step),
        cached=_cached_bytes(network),
    )


def plan_lines(plan: Plan) -> list[str]:
    """Write a plan for people, a fact a line."""
    parts = {part: getattr(plan, part) for part in ("weights", "gradients", "optimizer", "activations")}
    return [
        *model_lines(plan.facts, plan.lora_targets, (plan.n_parameters, plan.n_trainable), parts, plan.dtype),
        f"rows          {plan.n_rows:,}, and {plan.n_validation:,} to validate by, the longest of {plan.longest:,} "
        f"tokens; {plan.n_cut:,} lose triples, {plan.n_dropped:,} do not fit",
        f"an epoch      {plan.n_tokens:,} tokens, {plan.n_answer_tokens:,} of them in answers",
        f"steps         {plan.steps:,}",
    ]


def memory_parts(frozen: int, n_trainable: int, activations: int) -> dict[str, int]:
    """Give the bytes of each part of a training's memory, for `frozen` bytes of weights that are not trained."""
    return {
        "weights": frozen + n_trainable * FLOAT32,
        "gradients": n_trainable * FLOAT32,
        "optimizer": n_trainable * ADAM,
        "activations": activations,
    }


def model_lines(
    facts: ModelFacts, targets: Sequence[str], counts: tuple[int, int], parts: Mapping[str, int], dtype: str
) -> list[str]:
    """Write what is known of a model before its rows: `counts` as `counted` gives them, `parts` of memory in bytes."""
    n_parameters, n_trainable = counts
    memory = ", ".join(f"{part} {n_bytes / GIB:.2f}" for part, n_bytes in parts.items())
    return [
        f"model         {facts.architecture}, context {facts.context:,} tokens, vocabulary {facts.n_tokens:,}",
        f"end token     {facts.end_token}   padding token: {facts.padding_token or 'none, and none is needed'}",
        f"LoRA on       {', '.join(targets) or 'nothing: all weights are trained'}",
        f"parameters    {n_parameters:,}, of which {n_trainable:,} ({n_trainable / n_parameters:.2%}) are trained",
        f"memory        {sum(parts.values()) / GIB:.2f} GiB a process, computing in {dtype}: {memory}",
    ]


def without_weights(model: str | Path | None, dtype: Any) -> tuple[Any, Any]:
    """Build a causal model on torch's device "meta", as it is trained, and open its tokenizer.

    Raises: MissingExtraError; ModelError as `load_model`.
    """
    if model == "none":
        raise ModelError("model 'none': training needs a model; name one with --model, such as 'embedded'")
    try:
        import torch
        from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
    except ImportError as error:
        raise MissingExtraError("models", error.name or "transformers") from error
    source = locate_model(model, progress=True)
    try:
        with quiet(), torch.device("meta"):
            settings = AutoConfig.from_pretrained(source)
            network = AutoModelForCausalLM.from_config(settings, dtype=dtype)
        tokenizer = AutoTokenizer.from_pretrained(source)
    except (OSError, ValueError, KeyError, ImportError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"model {str(model)!r}: is no causal language model ({reason})") from error
    set_end_token(tokenizer, settings)
    return network.train(), tokenizer


def counted(network: Any) -> tuple[int, int]:
    """Count a network's parameters, and those of them that are trained."""
    parameters = list(network.parameters())
    return sum(p.numel() for p in parameters), sum(p.numel() for p in parameters if p.requires_grad)


def _itemsize(network: Any) -> int:
    return int(network.dtype.itemsize)


def _packed_weights(network: Any) -> int:
    """Count the weights that bitsandbytes packs: those of all linear layers but the output head."""
    names = set(lora_targets(network, "all")[0])
    return int(sum(m.weight.numel() for name, m in network.named_modules() if name.rpartition(".")[2] in names))


def _copies(config: SFTConfig, network: Any, n_trainable: int) -> int:
    """Count what is kept in half precision beside float32 weights that are trained."""
    return n_trainable * _itemsize(network) if config.full and _itemsize(network) < FLOAT32 else 0


def _scaled(numbers: Sequence[int], n_rows: int) -> int:
    return round(sum(numbers) * n_rows / max(1, len(numbers)))


def _n_labelled(labels: Sequence[int]) -> int:
    return sum(label != IGNORED for label in labels)


def _activations(network: Any, config: SFTConfig, rows: EncodedRows) -> int:
    """Add up what a forward pass of the longest rows keeps, and the logits at the places of answers."""
    longest = max((len(row.input_ids) for row in rows.rows), default=config.max_tokens)
    labelled = sum(_n_labelled(row.labels) for row in rows.rows) / max(1, len(rows.rows))
    causal = network.get_base_model() if hasattr(network, "get_base_model") else network
    kept = kept_bytes(causal, config.rows_at_once, longest)
    if config.gradient_checkpointing:
        n_layers = causal.config.num_hidden_layers
        states = config.rows_at_once * longest * causal.config.hidden_size * _itemsize(causal)
        kept = states * n_layers + kept // n_layers
    vocabulary = causal.get_output_embeddings().weight.shape[0]
    return int(kept + config.rows_at_once * labelled * vocabulary * FLOAT32 * LOGIT_COPIES)


def _cached_bytes(network: Any) -> int:
    settings = network.config
    n_heads = settings.num_attention_heads
    width = getattr(settings, "head_dim", None) or settings.hidden_size // n_heads
    n_cached = getattr(settings, "num_key_value_heads", None) or n_heads
    return int(2 * settings.num_hidden_layers * n_cached * width * _itemsize(network))


def kept_bytes(causal: Any, n_rows: int, length: int) -> int:
    """Add up what a forward pass of so many rows of this length keeps for the backward pass, without the logits."""
    import torch

    from finetune.fused_attention import FusedAttention

    own = {t.untyped_storage()._cdata for t in (*causal.parameters(), *causal.buffers())}
    kept: dict[int, Any] = {}

    def keep(tensor: Any) -> Any:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            kept[storage._cdata] = storage
        return tensor

    ids = torch.zeros((n_rows, length), dtype=torch.long, device="meta")
    sees = torch.ones((n_rows, 1, length, length), dtype=torch.bool, device="meta")
    positions = torch.arange(length, device="meta")[None].expand(n_rows, -1)
    with FusedAttention(), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        causal.base_model(input_ids=ids, attention_mask=sees, position_ids=positions, use_cache=False)
    return sum(storage.nbytes() for storage in kept.values())
