"""Models made trainable and saved: where LoRA goes, and how an adapter or a whole model is written.

Works for any causal model of transformers: the layers to adapt are read from the model's own modules, among them the
transposed `Conv1D` of GPT-2. This module does not train.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from finetune.processes import take_own_device
from kb_index.atomic import check_replaceable, filling_folder, replacing_folder
from kb_index.errors import MissingExtraError, ModelError
from kbqa_agent.causal_models import EMBEDDED, fast_dtype, load_model, quiet, with_adapter

__all__ = [
    "EMBEDDED_HUB_NAME",
    "linear_layers",
    "lora_targets",
    "merge_adapter",
    "open_trainable",
    "save_adapter",
    "save_full",
    "with_new_adapter",
]

EMBEDDED_HUB_NAME = "HuggingFaceTB/SmolLM2-135M-Instruct"


def linear_layers(model: Any) -> tuple[list[str], bool]:
    """List the linear layers of a model by the last part of their names, without its output head.

    Returns the names, sorted, and whether the weights are stored as (in, out), as in GPT-2's `Conv1D`.
    """
    import torch
    from transformers.pytorch_utils import Conv1D

    head = model.get_output_embeddings()
    layers = {
        name.rpartition(".")[2]: module
        for name, module in model.named_modules()
        if isinstance(module, (torch.nn.Linear, Conv1D)) and module is not head
    }
    return sorted(layers), any(isinstance(module, Conv1D) for module in layers.values())


def lora_targets(model: Any, where: str) -> tuple[list[str], bool]:
    """List the layers that get LoRA, as the ends of their names: all linear ones, or those of "attention" only.

    The second value is as in `linear_layers`. Raises: ModelError where a model's attention is not called so.
    """
    names, transposed = linear_layers(model)
    if where == "all":
        return names, transposed
    ends = {tuple(name.split(".")[-2:]) for name, _ in model.named_modules() if name.rpartition(".")[2] in names}
    found = sorted(".".join(end) for end in ends if len(end) == 2 and "att" in end[0])
    if not found:
        raise ModelError(f"model {model.config.model_type}: none of its parts is called attention; use --lora-on all")
    return found, transposed


def open_trainable(config: Any) -> tuple[Any, Any]:
    """Open the model of an `SFTConfig` and its tokenizer, with a new or a given LoRA adapter, or all weights free.

    Frozen weights are in the dtype that is fastest here, trainable ones always in float32.

    Raises:
        MissingExtraError: the packages for models are not installed.
        ModelError: the model or the adapter cannot be loaded, or the model is "none".
    """
    if config.model == "none":
        raise ModelError("model 'none': training needs a model; name one with --model, such as 'embedded'")
    try:
        import torch
        from peft import prepare_model_for_kbit_training
    except ImportError as error:
        raise MissingExtraError("models", error.name or "peft") from error
    take_own_device()
    network, tokenizer = load_model(
        config.model, dtype=torch.float32 if config.full else fast_dtype(), four_bit=config.four_bit
    )
    if config.full:
        return network, tokenizer
    if config.four_bit:
        network = prepare_model_for_kbit_training(network, config.gradient_checkpointing)
    if config.adapter is not None:
        tuned = with_adapter(network, config.adapter, trainable=True)
    else:
        tuned = with_new_adapter(network, config)
    # Checkpoints name the folder here: for a name on the hub, peft would ask the hub about each of them.
    tuned.peft_config["default"].base_model_name_or_path = network.name_or_path
    for parameter in tuned.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    return tuned, tokenizer


def with_new_adapter(network: Any, config: Any) -> Any:
    """Put a new LoRA adapter on a model, as an `SFTConfig` says; it changes nothing before it is trained."""
    from peft import LoraConfig, TaskType, get_peft_model
    from transformers import set_seed

    names, transposed = lora_targets(network, config.lora_on)
    settings = LoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        target_modules=names,
        fan_in_fan_out=transposed,
        task_type=TaskType.CAUSAL_LM,
    )
    set_seed(config.seed)  # half of a new adapter starts at random
    with quiet():
        return get_peft_model(network, settings)


def save_adapter(model: Any, folder: Path, base: str | None, weights: dict[str, Any] | None = None) -> None:
    """Write a LoRA adapter as float16 safetensors, naming the model it is for. Raises: StorageError.

    `weights` are those of the model where it has only its share of them.
    """
    import torch
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    tensors = {
        name: tensor.detach().to("cpu", torch.float16).contiguous()
        for name, tensor in get_peft_model_state_dict(model, weights, save_embedding_layers=False).items()
    }
    settings = model.peft_config["default"]
    settings.base_model_name_or_path = EMBEDDED_HUB_NAME if base in (None, EMBEDDED) else base
    with filling_folder(folder, ("adapter_config.json", "adapter_model.safetensors")) as part:
        save_file(tensors, part / "adapter_model.safetensors", metadata={"format": "pt"})
        inference_mode, settings.inference_mode = settings.inference_mode, True
        settings.save_pretrained(str(part))
        settings.inference_mode = inference_mode


def save_full(model: Any, tokenizer: Any, folder: Path, weights: dict[str, Any] | None = None) -> None:
    """Write a whole model and its tokenizer, which then opens as `--model FOLDER`. Raises: StorageError.

    `weights` are as in `save_adapter`.
    """
    if weights is not None:  # put together, tied ones are no longer seen to be the same
        weights = {name: tensor for name, tensor in weights.items() if name not in model.all_tied_weights_keys}
    with filling_folder(folder, ("config.json",)) as part:
        model.save_pretrained(part, state_dict=weights)
        tokenizer.save_pretrained(part)


def merge_adapter(model: str | Path | None, adapter: Path, out: Path) -> None:
    """Add an adapter to the weights of its model, and write the sum as a whole model, in float32, to the folder `out`.

    Raises:
        MissingExtraError: the packages for models are not installed.
        ModelError: the model or the adapter cannot be loaded, or the adapter is for another model.
        StorageError: `out` cannot be written, or holds other things than a model.
    """
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError("models", error.name or "torch") from error
    check_replaceable(out, "config.json")
    network, tokenizer = load_model(model, dtype=torch.float32)
    merged = with_adapter(network, adapter).merge_and_unload()
    with replacing_folder(out, holds="config.json") as part, quiet():
        merged.save_pretrained(part)
        tokenizer.save_pretrained(part)
