"""Reward models: a causal model whose output head is one number, with a LoRA adapter, made, saved, opened and asked.

A folder of a reward model holds the adapter with the trained head (`adapter_config.json`,
`adapter_model.safetensors`) and `reward.json`: the model it is for, and fingerprints of that model and its tokenizer.
Training is `finetune.reward`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from finetune.comparisons import TokenComparison, collate_comparisons
from finetune.models import linear_layers
from kb_index.atomic import filling_folder
from kb_index.errors import MissingExtraError, ModelError
from kbqa_agent.causal_models import EMBEDDED, load_model, quiet, with_adapter
from kbqa_agent.tokenizing import context_length, encode_answer, encode_prompt

__all__ = [
    "REWARD_FILE",
    "RewardModel",
    "can_share_prompts",
    "load_reward_model",
    "open_reward_base",
    "rewards_of",
    "save_reward_model",
    "with_reward_adapter",
]

REWARD_FILE = "reward.json"
FORMAT_VERSION = 1
ROW_TOKENS = 1024
BATCH_TOKENS = 4096
PROBE = "【坛经】\n作者：惠能\n问：《坛经》是谁写的？\n答：the author, 1232万 Hui-neng\t²"


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


class RewardModel:
    """Scores answers to prompts: the higher, the better; only differences under one prompt have a meaning."""

    def __init__(self, network: Any, tokenizer: Any, max_tokens: int) -> None:
        self._network, self._tokenizer = network.eval(), tokenizer
        self._max_tokens = min(max_tokens, context_length(network))
        self._shared = can_share_prompts(network, max(ROW_TOKENS, self._max_tokens))

    def score(self, prompts: Sequence[str], answers: Sequence[str]) -> NDArray[np.float32]:
        """Give the reward of each answer to the prompt at its place, (n,), float32.

        Answers to equal prompts share the prompt's computation. A prompt that is too long loses triples; an answer
        is cut after half of the model's tokens.

        Raises: ValueError when there are not as many prompts as answers.
        """
        import torch

        scores = np.zeros(len(answers), dtype=np.float32)
        with torch.inference_mode():
            for batch in _batches(self._rows(prompts, answers)):
                inputs = collate_comparisons([row for row, _ in batch], self._shared)
                found = rewards_of(self._network, _moved(inputs, self._network.device))
                scores[[place for _, places in batch for place in places]] = found.cpu().numpy()
        return scores

    def _rows(self, prompts: Sequence[str], answers: Sequence[str]) -> list[tuple[TokenComparison, list[int]]]:
        """Encode each distinct prompt with its answers, beside the places where these stand among all answers."""
        places: dict[str, list[int]] = {}
        for place, (prompt, _) in enumerate(zip(prompts, answers, strict=True)):
            places.setdefault(prompt, []).append(place)
        rows = []
        for prompt, at in places.items():
            ids = [encode_answer(self._tokenizer, answers[place], self._max_tokens // 2) for place in at]
            prefix = encode_prompt(self._tokenizer, prompt, self._max_tokens - max(map(len, ids)))
            step = max(1, (ROW_TOKENS - len(prefix)) // max(map(len, ids)))
            for part in (slice(start, start + step) for start in range(0, len(at), step)):
                rows += [(TokenComparison(prefix, ids[part], [], 0), at[part])]
        return rows


def open_reward_base(model: str | Path | None, adapter: Path | None = None, progress: bool = True) -> RewardBase:
    """Open a causal model of any family and put a new head of one number, drawn from torch's seed, on its body.

    `adapter` is that of a tuned generator, from which training then begins.

    Raises:
        MissingExtraError: the packages for models are not installed.
        ModelError: the model cannot be loaded, is "none", or its family has no sequence classification.
    """
    if model == "none":
        raise ModelError("model 'none': training needs a model; name one with --model, such as 'embedded'")
    causal, tokenizer = load_model(model, progress=progress)
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
    """Rewards of the answers that end at `inputs["ends"]`, a float32 tensor (n_answers,)."""
    import torch

    plain = network.get_base_model() if hasattr(network, "get_base_model") else network
    known = {name: inputs[name] for name in ("input_ids", "attention_mask", "position_ids") if name in inputs}
    hidden = plain.base_model(**known, use_cache=False).last_hidden_state  # (n_rows, longest, dim)
    rows, columns = inputs["ends"].unbind(1)
    # In bfloat16 the rewards of like answers would round to the same number.
    with torch.autocast(hidden.device.type, enabled=False):
        return plain.score(hidden[rows, columns].float())[:, 0]


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
                rewards_of(network, _moved(collate_comparisons([probe], layout), network.device))
                for layout in (True, False)
            )
    except (TypeError, ValueError, RuntimeError):
        return False
    return bool(torch.allclose(shared, alone, atol=0.02, rtol=0.02))


def save_reward_model(network: Any, tokenizer: Any, folder: Path, base: str | None, max_tokens: int) -> None:
    """Write adapter and head as float32 safetensors, and `reward.json`. Raises: StorageError."""
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    tensors = {
        name: tensor.detach().cpu().float().contiguous()
        for name, tensor in get_peft_model_state_dict(network, save_embedding_layers=False).items()
    }
    about = {
        "format": FORMAT_VERSION,
        "base": base or EMBEDDED,
        "max_tokens": max_tokens,
        "base_sha256": _base_fingerprint(network),
        "tokenizer_sha256": _tokenizer_fingerprint(tokenizer),
    }
    settings = network.peft_config["default"]
    with filling_folder(folder, (REWARD_FILE, "adapter_config.json", "adapter_model.safetensors")) as part:
        save_file(tensors, part / "adapter_model.safetensors", metadata={"format": "pt"})
        inference_mode, settings.inference_mode = settings.inference_mode, True
        settings.save_pretrained(str(part))
        settings.inference_mode = inference_mode
        (part / REWARD_FILE).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


def load_reward_model(folder: str | Path, model: str | Path | None = None, progress: bool = True) -> RewardModel:
    """Open the reward model in `folder`, which `kbqa finetune reward` wrote.

    `model` is where its base model is now; by default it is looked for where it was in training.

    Raises:
        MissingExtraError: the packages for models are not installed.
        ModelError: no reward model is there, it is damaged, or the base model or its tokenizer is another one.
    """
    folder = Path(folder)
    about = _about(folder)
    name = model or about["base"]
    base = open_reward_base(name, progress=progress)
    fits = f"give the model that it was trained on ({about['base']!r}), or train again: kbqa finetune reward"
    if about["tokenizer_sha256"] != _tokenizer_fingerprint(base.tokenizer):
        raise ModelError(f"reward model {str(folder)!r}: was trained with another tokenizer than {str(name)!r}; {fits}")
    if about["base_sha256"] != _base_fingerprint(base.network):
        raise ModelError(f"reward model {str(folder)!r}: was trained on another model than {str(name)!r}; {fits}")
    network = with_adapter(base.network, folder).merge_and_unload()
    network.score.float()
    return RewardModel(network, base.tokenizer, about["max_tokens"])


def _taken_off(tuned: Any) -> tuple[Any, dict[str, Any], Any]:
    """Part a model with an adapter into the plain model, the adapter's tensors and its settings."""
    from peft import get_peft_model_state_dict

    tensors = {
        name: tensor.clone() for name, tensor in get_peft_model_state_dict(tuned, save_embedding_layers=False).items()
    }
    return tuned.unload(), tensors, tuned.peft_config["default"]


def _about(folder: Path) -> dict[str, Any]:
    advice = "expected a folder from `kbqa finetune reward`"
    try:
        about = json.loads((folder / REWARD_FILE).read_text(encoding="utf-8"))
        known = {"base": str, "max_tokens": int, "base_sha256": str, "tokenizer_sha256": str}
        if about["format"] == FORMAT_VERSION and all(isinstance(about[key], kind) for key, kind in known.items()):
            return dict(about)
    except OSError as error:
        raise ModelError(f"reward model {str(folder)!r}: has no {REWARD_FILE}; {advice}") from error
    except (ValueError, KeyError, TypeError):
        pass
    raise ModelError(f"reward model {str(folder)!r}: {REWARD_FILE} is damaged or of another version; {advice}")


def _tokenizer_fingerprint(tokenizer: Any) -> str:
    """What decides how texts become tokens: the vocabulary, the end token, and the tokens of a probe."""
    ids = tokenizer(PROBE)["input_ids"]
    content = [sorted(tokenizer.get_vocab().items()), tokenizer.eos_token_id, list(ids)]
    return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode("utf-8", "replace")).hexdigest()


def _base_fingerprint(network: Any) -> str:
    """The first rows of the embeddings and the norms, in bfloat16: the same in whichever precision they were opened."""
    import torch

    plain = network.get_base_model() if hasattr(network, "get_base_model") else network
    norms = [
        parameter
        for name, parameter in plain.base_model.named_parameters()
        if parameter.dim() == 1 and "lora_" not in name and not name.endswith("bias")
    ]
    digest = hashlib.sha256()
    for tensor in (plain.get_input_embeddings().weight[:64], *norms):
        digest.update(tensor.detach().to("cpu", torch.bfloat16).view(torch.int16).numpy().tobytes())
    return digest.hexdigest()


def _batches(
    rows: Sequence[tuple[TokenComparison, list[int]]],
) -> list[list[tuple[TokenComparison, list[int]]]]:
    """Rows of like length together, as many as `BATCH_TOKENS` holds."""
    batches: list[list[tuple[TokenComparison, list[int]]]] = []
    for row in sorted(rows, key=lambda one: one[0].length):
        if not batches or (len(batches[-1]) + 1) * row[0].length > BATCH_TOKENS:
            batches.append([])
        batches[-1].append(row)
    return batches


def _moved(inputs: dict[str, Any], device: Any) -> dict[str, Any]:
    return {name: tensor.to(device) for name, tensor in inputs.items()}
