"""The language model that weighs and writes answers: any Hugging Face causal model, with or without a LoRA adapter.

Without a name it is the embedded one, SmolLM2-135M-Instruct with the adapter that ships in this package. This module
loads models and generates; the arithmetic of likelihoods is in `scoring`, prompts are made in `prompts`.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
import socket
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kb_index.errors import MissingExtraError, ModelError
from kbqa_agent.gguf_cache import converted, embedded_gguf
from kbqa_agent.scoring import score_answers
from kbqa_agent.tokenizing import context_length, encode_prompt

__all__ = ["EMBEDDED", "HuggingFaceGenerator", "fast_dtype", "load_generator", "load_model", "shipped_adapter"]

EMBEDDED = "embedded"
EMBEDDED_NAME = "smollm2-135m-instruct"
HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")
logger = logging.getLogger(__name__)


class HuggingFaceGenerator:
    """A causal model and its tokenizer as a `Generator`; deterministic, and nothing in it is changed by use."""

    def __init__(self, model: Any, tokenizer: Any, name: str) -> None:
        self.name = name
        self._model = model
        self._tokenizer = tokenizer
        self._stop_ids = sorted({tokenizer.eos_token_id} | _newline_ids(tokenizer))

    def score(self, prompt: str, answers: Sequence[str]) -> NDArray[np.float32]:
        """Give the natural-log likelihood of each answer, summed over its tokens and the end token, (n_answers,)."""
        return score_answers(self._model, self._tokenizer, prompt, answers)

    def generate(self, prompts: Sequence[str], max_new_tokens: int = 48) -> list[str]:
        """Write one answer for each prompt, greedily, up to the end token, a line break or `max_new_tokens` tokens."""
        import torch

        if not prompts:
            return []
        room = max(1, context_length(self._model) - max_new_tokens)
        rows = [encode_prompt(self._tokenizer, prompt, room) for prompt in prompts]
        longest = max(map(len, rows))
        padded = [[self._tokenizer.eos_token_id] * (longest - len(row)) + row for row in rows]
        mask = [[0] * (longest - len(row)) + [1] * len(row) for row in rows]
        with torch.inference_mode():
            output = self._model.generate(
                torch.tensor(padded, device=self._model.device),
                attention_mask=torch.tensor(mask, device=self._model.device),
                max_new_tokens=max_new_tokens,
                do_sample=False,
                eos_token_id=self._stop_ids,
                pad_token_id=self._tokenizer.eos_token_id,
            )
        texts = self._tokenizer.batch_decode(output[:, longest:], skip_special_tokens=True)
        return [text.strip().split("\n")[0].rstrip("\ufffd").strip() for text in texts]  # a cut character is no text


def load_generator(
    model: str | Path | None = None, adapter: str | Path | None = None, progress: bool = True
) -> HuggingFaceGenerator:
    """Open a model, and the adapter on it, for scoring and generation.

    `model` is None or "embedded", the name of a Hugging Face model, a folder, or a .gguf file. `adapter` is a folder as
    `kbqa finetune` writes it; None means the shipped one for the embedded model and none for others, "none" means none.

    Raises:
        MissingExtraError: the packages for models are not installed.
        ModelError: no such model, no network, or an adapter for another model.
    """
    embedded = model is None or str(model) == EMBEDDED
    network, tokenizer = load_model(model, progress=progress)
    folder = shipped_adapter() if adapter is None and embedded else adapter
    if adapter is None and embedded and folder is None:
        logger.warning("no adapter for the embedded model is in this package; it answers untuned")
    name = EMBEDDED_NAME if embedded else Path(str(model)).name
    if folder is not None and str(folder) != "none":
        network = _with_adapter(network, Path(folder))
        name += "+adapter" if adapter is None else f"+{Path(folder).name}"
    return HuggingFaceGenerator(network.eval(), tokenizer, name)


def load_model(model: str | Path | None, dtype: Any = None, progress: bool = True) -> tuple[Any, Any]:
    """Open a causal model and its tokenizer in `dtype` (by default the one that is fastest here), without adapter.

    Raises:
        MissingExtraError: the packages for models are not installed.
        ModelError: no such model, or no network to fetch it.
    """
    try:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
    except ImportError as error:
        raise MissingExtraError("models", error.name or "transformers") from error
    source = _locate(model, progress)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        with _quiet_transformers():
            tokenizer = AutoTokenizer.from_pretrained(source)
            network = AutoModelForCausalLM.from_pretrained(source, dtype=dtype or fast_dtype()).to(device)
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"model {str(model)!r}: cannot be loaded as a causal language model ({reason})") from error
    if tokenizer.eos_token_id is None:
        raise ModelError(f"model {str(model)!r}: its tokenizer has no end token, and answers need one")
    return network, tokenizer


def shipped_adapter() -> Path | None:
    """Give the folder of the adapter that ships in this package, or None where there is none."""
    folder = Path(str(files("kbqa_agent"))) / "data" / "adapter"
    return folder if (folder / "adapter_config.json").is_file() else None


def fast_dtype() -> Any:
    """Choose bfloat16 where the processor computes in it, else float32: without support it is slower than float32."""
    import torch

    capable = torch.cpu.get_capabilities()
    bf16 = torch.cuda.is_available() or capable.get("avx512_bf16") or capable.get("amx_bf16")
    return torch.bfloat16 if bf16 else torch.float32


def _locate(model: str | Path | None, progress: bool) -> str:
    """Turn what the user calls a model into what transformers loads: a folder, or a name on the hub."""
    if model is None or str(model) == EMBEDDED:
        with _quiet_transformers():
            return str(converted(embedded_gguf(), progress))
    path = Path(model).expanduser()
    if path.is_dir():
        if not (path / "config.json").is_file():
            hint = "; it is an adapter: pass it with --adapter" if (path / "adapter_config.json").is_file() else ""
            raise ModelError(f"model folder {str(path)!r}: has no config.json; expected a Hugging Face model{hint}")
        return str(path)
    if path.suffix == ".gguf" or path.is_file():
        with _quiet_transformers():
            return str(converted(path, progress))
    if not HUB_NAME.fullmatch(str(model)):
        raise ModelError(f"model {str(model)!r}: no such folder; expected a model folder, a .gguf file or a hub name")
    _require_hub(str(model))
    return str(model)


def _require_hub(name: str) -> None:
    """Say at once that a model cannot be fetched, where the hub's own client would try for half a minute."""
    from urllib.parse import urlparse
    from urllib.request import getproxies

    from huggingface_hub import constants, try_to_load_from_cache

    if isinstance(try_to_load_from_cache(name, "config.json"), str) or getproxies():
        return
    host = urlparse(constants.ENDPOINT).hostname or ""
    try:
        if constants.HF_HUB_OFFLINE:
            raise OSError("HF_HUB_OFFLINE is set")
        socket.create_connection((host, 443), timeout=5).close()
    except OSError as error:
        raise ModelError(
            f"model {name!r}: no folder of that name here, and {host} cannot be reached ({error}); "
            "give a model folder or a .gguf file, connect to the network, or use --model embedded"
        ) from error


def _with_adapter(network: Any, folder: Path) -> Any:
    """Merge a LoRA adapter into a model's weights, after making sure that every one of its tensors belongs there."""
    try:
        from peft import PeftModel, get_peft_model_state_dict
        from safetensors import safe_open
    except ImportError as error:
        raise MissingExtraError("models", error.name or "peft") from error
    weights = folder / "adapter_model.safetensors"
    for path in (folder / "adapter_config.json", weights):
        if not path.is_file():
            raise ModelError(f"adapter {str(folder)!r}: has no {path.name}; expected a folder from `kbqa finetune`")
    try:
        with safe_open(weights, "pt") as file, _quiet_transformers():
            names = set(file.keys())
            tuned = PeftModel.from_pretrained(network, str(folder))
    except (ValueError, RuntimeError, KeyError, TypeError, OSError, json.JSONDecodeError) as error:
        reason = " ".join(str(error).split())[:160]
        raise ModelError(f"adapter {str(folder)!r}: does not fit this model ({reason}); use its own model") from error
    if names != set(get_peft_model_state_dict(tuned)):
        raise ModelError(f"adapter {str(folder)!r}: was made for another model; give it that model's name")
    return tuned.merge_and_unload()


def _newline_ids(tokenizer: Any) -> set[int]:
    """Collect the tokens that are a line break by themselves; a model that writes one has finished its answer."""
    ids = tokenizer("\n", add_special_tokens=False)["input_ids"]
    return {ids[-1]} if ids and tokenizer.decode(ids[-1:]) == "\n" else set()


@contextlib.contextmanager
def _quiet_transformers() -> Iterator[None]:
    """Keep transformers' own progress bars and reports off standard error for a while."""
    from transformers.utils import logging as transformers_logging

    level = transformers_logging.get_verbosity()
    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)
        if shown:
            transformers_logging.enable_progress_bar()
