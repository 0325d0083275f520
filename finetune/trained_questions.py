"""The questions that a fine-tuned generator has seen in training, as its folder and those it began from have on record.

Whoever trains it further has to measure it on others.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from finetune.json_rows import read_rows
from finetune.overlap import asked
from finetune.record import read_record
from finetune.training_folder import RECORD_FILE
from kb_index.errors import KBQAError
from kbqa_agent.qa_data import read_questions
from kbqa_agent.sample import sample_train
from kbqa_agent.shipped import locate_adapter, shipped_adapter

__all__ = ["trained_questions"]

logger = logging.getLogger(__name__)


def trained_questions(start: Path) -> set[str]:
    """Collect the questions that the adapter or model in the folder `start` was trained on, in the form of `asked`.

    Where a folder says nothing of them, a warning does.
    """
    found: set[str] = set()
    folders, seen = [locate_adapter(start)], set[Path]()
    while folders:
        folder = folders.pop().resolve()
        if folder in seen:
            continue
        seen.add(folder)
        files = list(_files(folder))
        if not files:
            logger.warning("'%s': has no record of the questions it was trained on; hold out none of those", folder)
        found |= {asked(text) for file in files for text in _texts(file)}
        folders += _begun_from(folder)
    return found


def _files(folder: Path) -> Iterator[Path]:
    """Name the files with a training's rows: beside its result, or where its record says that they were."""
    if folder == shipped_adapter():
        yield sample_train()
        return
    named = [folder / "rows.json", folder / "training.jsonl"]
    if data := _setting(folder, "data"):
        named.append(Path(data))
    yield from dict.fromkeys(path for path in named if path.is_file())


def _texts(file: Path) -> list[str]:
    """Read questions or prompts, of RAFT's own rows too."""
    if file.suffix == ".jsonl":
        return [row.get("text") or row.get("prompt") or "" for row in read_rows(file)]
    return [example.question for example in read_questions(file)]


def _begun_from(folder: Path) -> list[Path]:
    """Name the adapter and the model that a training began from, where these are folders of trainings too."""
    named = [locate_adapter(name) for name in (_setting(folder, "adapter"), _setting(folder, "model")) if name]
    return [path for path in named if (path / RECORD_FILE).is_file() or path == shipped_adapter()]


def _setting(folder: Path, name: str) -> str | None:
    try:
        value = read_record(folder / RECORD_FILE)["config"].get(name)
    except (KBQAError, OSError):
        return None
    return value if isinstance(value, str) else None
