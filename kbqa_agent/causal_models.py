"""Causal models and their LoRA adapters, opened by name, folder or GGUF file.

Every way in which that fails is one `ModelError`. This module neither scores, generates nor trains.
"""

from __future__ import annotations

import contextlib
import re
import socket
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kb_index.errors import MissingExtraError, ModelError
from kbqa_agent.gguf_cache import converted, embedded_gguf
from kbqa_agent.shipped import locate_adapter

__all__ = [
    "EMBEDDED",
    "check_adapter",
    "fast_dtype",
    "is_out_of_memory",
    "load_model",
    "locate_model",
    "quiet",
    "set_end_token",
    "with_adapter",
]

EMBEDDED = "embedded"
HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")


def load_model(
    model: str | Path | None, dtype: Any = None, progress: bool = True, four_bit: bool = False
) -> tuple[Any, Any]:
    """Open a causal model and its tokenizer in `dtype` (by default the one that is fastest here), without adapter.

    Where the tokenizer names no end token, as Galactica's, the model's settings do. `four_bit` packs the linear layers
    to 4 bits (bitsandbytes' NF4, which needs a GPU).

    Raises:
        MissingExtraError: the packages for models are not installed.
        ModelError: no such model, no network to fetch it, one that does not write text, or that memory does not hold.
    """
    try:
        import torch
        from safetensors import SafetensorError
        from transformers import AutoModelForCausalLM, AutoTokenizer
    except ImportError as error:
        raise MissingExtraError("models", error.name or "transformers") from error
    source = locate_model(model, progress)
    packing = _four_bit_settings() if four_bit else {}
    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(source)
            network, loading = AutoModelForCausalLM.from_pretrained(
                source, dtype=dtype or fast_dtype(), output_loading_info=True, **packing
            )
            if not four_bit and torch.cuda.is_available():
                network = network.to("cuda")
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, MemoryError, SafetensorError) as error:
        raise _unloadable(model, error, four_bit) from error
    _require_causal(network, model, loading["missing_keys"])
    network.generation_config = _plain_generation(network.generation_config)
    set_end_token(tokenizer, network.config)
    if tokenizer.eos_token_id is None:
        raise ModelError(f"model {str(model)!r}: its tokenizer has no end token, and answers need one")
    return network, tokenizer


def _unloadable(model: str | Path | None, error: Exception, four_bit: bool) -> ModelError:
    """Make the error of a model that cannot be loaded."""
    if is_out_of_memory(error):
        packed = "" if four_bit else "; to train it, --four-bit packs it where there is a GPU"
        return ModelError(f"model {str(model)!r}: out of memory while loading; choose a smaller one{packed}")
    reason = " ".join(str(error).split())[:200]
    return ModelError(f"model {str(model)!r}: cannot be loaded as a causal language model ({reason})")


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether torch or Python could not get memory, on a GPU or not."""
    import torch

    texts = ("can't allocate memory", "cannot allocate memory", "not enough memory", "out of memory")
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(t in str(error).lower() for t in texts)


def _plain_generation(settings: Any) -> Any:
    """Keep the token ids of a model's own settings for generation, and none that change what is likeliest.

    What a caller leaves open, such as a penalty on repetitions, would otherwise be theirs.
    """
    from transformers import GenerationConfig

    names = ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id")
    return GenerationConfig(**{name: getattr(settings, name, None) for name in names})


def set_end_token(tokenizer: Any, config: Any) -> None:
    """Give a tokenizer that names no end token, as Galactica's, the one that the model's settings name."""
    end = getattr(config, "eos_token_id", None)
    if tokenizer.eos_token_id is None and end is not None:
        tokenizer.eos_token = tokenizer.convert_ids_to_tokens(end if isinstance(end, int) else end[0])


def _require_causal(network: Any, model: str | Path | None, missing: set[str]) -> None:
    """Refuse what transformers opens as a causal model though it was not trained as one."""
    names = ", ".join(network.config.architectures or ())
    masked = getattr(network.config, "is_decoder", None) is False and not names.endswith(("CausalLM", "LMHeadModel"))
    if masked or missing:
        lacks = f"its files lack {min(missing)}" if missing else "it fills gaps in text"
        raise ModelError(
            f"model {str(model)!r}: is no causal language model ({names or network.config.model_type}; {lacks}); "
            "give one that writes text, such as GPT-2, OPT or LLaMA"
        )


def _four_bit_settings() -> dict[str, Any]:
    """What packs a model to 4 bits while it is loaded. Raises: ModelError where that cannot be."""
    from importlib.util import find_spec

    import torch
    from transformers import BitsAndBytesConfig

    if not torch.cuda.is_available():
        raise ModelError("weights of 4 bits need a CUDA GPU, and there is none here; leave --four-bit out")
    if find_spec("bitsandbytes") is None:
        raise ModelError("weights of 4 bits need bitsandbytes, which is not installed; run: pip install bitsandbytes")
    settings = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
    return {"quantization_config": settings, "device_map": {"": torch.cuda.current_device()}}


def fast_dtype() -> Any:
    """Choose bfloat16 where the processor computes in it, else float32: without support it is slower than float32."""
    import torch

    if torch.cuda.is_available():
        bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        capable = torch.cpu.get_capabilities()
        bf16 = capable.get("avx512_bf16") or capable.get("amx_bf16")
    return torch.bfloat16 if bf16 else torch.float32


def check_adapter(folder: Path) -> Path:
    """Make sure that a folder holds an adapter, of whichever model, and give its weights' file; "shipped" is our own.

    Raises: ModelError.
    """
    folder = locate_adapter(folder)
    weights = folder / "adapter_model.safetensors"
    for path in (folder / "adapter_config.json", weights):
        if not path.is_file():
            raise ModelError(f"adapter {str(folder)!r}: has no {path.name}; expected a folder from `kbqa finetune`")
    return weights


def with_adapter(network: Any, folder: Path, trainable: bool = False, name: str = "default") -> Any:
    """Put a LoRA adapter on a model, after making sure that every one of its tensors belongs there.

    "shipped" is the package's own, as in `locate_adapter`.
    A model that has adapters already keeps them beside the new one, each under its name.

    Raises:
        MissingExtraError: peft is not installed.
        ModelError: no adapter is there, or it was made for another model.
    """
    try:
        from peft import PeftModel, get_peft_model_state_dict
        from safetensors import SafetensorError, safe_open
    except ImportError as error:
        raise MissingExtraError("models", error.name or "peft") from error
    weights = check_adapter(folder)
    folder = weights.parent
    try:
        with safe_open(weights, "pt") as file, quiet():
            names = set(file.keys())
            if isinstance(network, PeftModel):
                network.load_adapter(str(folder), name, is_trainable=trainable)
                tuned = network
            else:
                tuned = PeftModel.from_pretrained(network, str(folder), name, is_trainable=trainable)
    except (ValueError, RuntimeError, KeyError, TypeError, OSError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:160]
        raise ModelError(f"adapter {str(folder)!r}: does not fit this model ({reason}); use its own model") from error
    # With its default for embeddings, peft would ask the hub whether the vocabulary was changed.
    if names != set(get_peft_model_state_dict(tuned, adapter_name=name, save_embedding_layers=False)):
        raise ModelError(f"adapter {str(folder)!r}: was made for another model; give it that model's name")
    return tuned


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the progress bars and reports of transformers and peft off standard error for a while."""
    from transformers.utils import logging as transformers_logging

    level = transformers_logging.get_verbosity()
    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            # peft asks transformers 5 for a property by its old name.
            warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
            # What peft warns of here, `with_adapter` makes an error.
            warnings.filterwarnings("ignore", message="Found missing adapter keys")
            yield
    finally:
        transformers_logging.set_verbosity(level)
        if shown:
            transformers_logging.enable_progress_bar()


def locate_model(model: str | Path | None, progress: bool) -> str:
    """Turn what the user calls a model into what transformers loads: a folder, or a name on the hub.

    Raises: ModelError where there is none.
    """
    if model is None or str(model) == EMBEDDED:
        with quiet():
            return str(converted(embedded_gguf(), progress))
    path = Path(model).expanduser()
    if path.is_dir():
        if not (path / "config.json").is_file():
            hint = "; it is an adapter: pass it with --adapter" if (path / "adapter_config.json").is_file() else ""
            raise ModelError(f"model folder {str(path)!r}: has no config.json; expected a Hugging Face model{hint}")
        return str(path)
    if path.suffix == ".gguf" or path.is_file():
        with quiet():
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
