"""Reward models as folders: saved, opened again, and asked for scores.

A folder of a reward model holds the adapter with the trained head (`adapter_config.json`,
`adapter_model.safetensors`) and `reward.json`: the model it is for, and fingerprints of that model and its tokenizer.
The network is `finetune.reward_network`, training `finetune.reward`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finetune.comparisons import TokenComparison, collate_comparisons
from finetune.reward_network import can_share_prompts, moved, open_reward_base, rewards_of
from kb_index.atomic import filling_folder
from kb_index.errors import ModelError
from kbqa_agent.causal_models import EMBEDDED, with_adapter
from kbqa_agent.tokenizing import context_length, encode_answer, encode_prompt

__all__ = ["REWARD_FILE", "RewardModel", "load_reward_model", "save_reward_model"]

REWARD_FILE = "reward.json"
FORMAT_VERSION = 2
ROW_TOKENS = 1024
BATCH_TOKENS = 4096
FINGERPRINT_ROWS = 16
PROBE = "【坛经】\n作者：惠能\n问：《坛经》是谁写的？\n答：the author, 1232万 Hui-neng\t²"


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
                found = rewards_of(self._network, moved(inputs, self._network.device))
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
        "base": _lasting_name(base),
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


def _lasting_name(model: str | None) -> str:
    """A model's name that means the same in every working folder."""
    if model is None or model == EMBEDDED:
        return EMBEDDED
    path = Path(model).expanduser()
    return str(path.resolve()) if path.exists() else model


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
    """The norms and the first rows of all other weights, in bfloat16: the same in whichever precision they were opened.

    An adapter that was merged into a model changes every row of its layers.
    """
    import torch

    plain = network.get_base_model() if hasattr(network, "get_base_model") else network
    weights = [
        parameter[:FINGERPRINT_ROWS] if parameter.dim() > 1 else parameter
        for name, parameter in plain.base_model.named_parameters()
        if "lora_" not in name and not name.endswith("bias")
    ]
    digest = hashlib.sha256()
    for tensor in weights:
        digest.update(tensor.detach().to("cpu", torch.bfloat16).contiguous().view(torch.int16).numpy().tobytes())
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
