"""Where metrics go beside `metrics.jsonl`: Weights & Biases, TensorBoard or Trackio, through transformers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from finetune.processes import is_main
from kb_index.errors import InputError

__all__ = ["check_tracker", "tracking", "trackio_project", "wandb_run"]

PROJECT = "kbqa"


def check_tracker(name: str) -> None:
    """Make sure that a tracker's package is installed. Raises: InputError."""
    if name != "none" and find_spec(name) is None:
        raise InputError(f"--report-to {name}: the package is not installed; run: pip install {name}")


@contextmanager
def tracking(tracker: str, out: Path) -> Iterator[None]:
    """Begin a run of the tracker, named after the folder of the training, where its files lie; end it.

    Trackio keeps its files elsewhere. What the environment says (WANDB_PROJECT, WANDB_MODE, ...) goes before.
    """
    before = os.environ.get("TENSORBOARD_LOGGING_DIR")
    if tracker == "tensorboard" and before is None:
        os.environ["TENSORBOARD_LOGGING_DIR"] = str(out / "tensorboard")
    try:
        with wandb_run(out) if tracker == "wandb" and is_main() else nullcontext():
            yield
    finally:
        if before is None:
            os.environ.pop("TENSORBOARD_LOGGING_DIR", None)


def wandb_run(out: Path) -> Any:
    """Begin a run of Weights & Biases, which ends as a context."""
    wandb = import_module("wandb")
    return wandb.init(project=os.environ.get("WANDB_PROJECT", PROJECT), name=out.name, dir=out)


def trackio_project() -> str:
    """Name the project of Trackio's runs."""
    return os.environ.get("TRACKIO_PROJECT", PROJECT)
