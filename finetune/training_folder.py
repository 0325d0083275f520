"""The folder of a fine-tuning: what may be in it, what is kept when a training is resumed, and its record."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any

from finetune.config import SFTConfig
from finetune.record import read_record, sha256_of, training_record
from kb_index.atomic import replacing_text, storage_errors
from kb_index.errors import InputError, StorageError

__all__ = [
    "CHECKPOINTS",
    "PACKAGES",
    "RECORD_FILE",
    "begin_record",
    "check_training_folder",
    "checkpoints_of",
    "prepare_folder",
    "record_of",
    "write_json",
]

SAME_ON_RESUME = (
    *("model", "full", "lora_on", "four_bit", "rank", "alpha", "dropout", "learning_rate", "weight_decay"),
    *("rows_per_step", "max_steps", "epochs", "warmup_share", "max_grad_norm"),
    *("max_tokens", "validation_share", "max_validation_rows", "seed"),
)
RECORD_FILE = "record.json"
CHECKPOINTS = "checkpoints"
BEFORE_RECORD = {"rows.json", "metrics.jsonl"}
"""What may be in a folder before its training is on record."""

PACKAGES = ("torch", "transformers", "peft")


def check_training_folder(out: Path) -> None:
    """Make sure that `out` is a training's folder, or may become one. Raises: StorageError."""
    with storage_errors(out, "choose another --out"):
        names = {path.name for path in out.iterdir() if not path.name.startswith(".")} if out.exists() else set()
    if RECORD_FILE not in names and names - BEFORE_RECORD:
        raise StorageError(
            f"'{out}': there already, and without a {RECORD_FILE}; it is left as it is, choose another --out"
        )


def checkpoints_of(config: SFTConfig) -> Path:
    """Name the folder of a training's checkpoints."""
    return config.out / CHECKPOINTS


def prepare_folder(config: SFTConfig) -> None:
    """Make the folder; a new training there replaces the metrics and checkpoints of an old one."""
    config.out.mkdir(parents=True, exist_ok=True)
    if config.resume and checkpoints_of(config).is_dir():
        return
    shutil.rmtree(checkpoints_of(config), ignore_errors=True)
    (config.out / "metrics.jsonl").write_text("", encoding="utf-8")


def record_of(config: SFTConfig, conversations: Sequence[Sequence[tuple[str, str]]]) -> dict[str, Any]:
    """Put on record what is trained, and write it; a resumed training must be the recorded one. Raises: InputError."""
    data = {"rows_sha256": sha256_of([tuple(pair) for pair in pairs] for pairs in conversations)}
    record = training_record(asdict(config), data, PACKAGES)
    begin_record(config.out, record, config.resume and checkpoints_of(config).is_dir(), SAME_ON_RESUME)
    return record


def begin_record(
    out: Path,
    record: dict[str, Any],
    resumes: bool,
    same: Sequence[str],
    data: Mapping[str, str] = MappingProxyType({"rows_sha256": "rows"}),
) -> None:
    """Write the record of a training that begins or is resumed; then it must be the recorded one.

    The settings in `same` and the fingerprints in `data`, by what the user calls the things, may not differ.

    Raises: InputError.
    """
    path = out / RECORD_FILE
    if resumes and path.is_file():
        _require_same(out, read_record(path), record, same, data)
    write_json(path, record)


def _require_same(
    out: Path, before: dict[str, Any], now: dict[str, Any], same: Sequence[str], data: Mapping[str, str]
) -> None:
    changed = [name for name in same if before["config"].get(name) != now["config"][name]]
    changed += [called for name, called in data.items() if before.get(name) != now[name]]
    if changed:
        raise InputError(
            f"{out}: resumed with other {', '.join(changed)} than it was begun with; "
            "give the same ones, or begin anew without --resume"
        )


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write an object as a JSON file that appears whole. Raises: StorageError."""
    with replacing_text(path) as stream:
        json.dump(content, stream, ensure_ascii=False, indent=1, default=str)
        stream.write("\n")
