"""Where metrics go beside `metrics.jsonl`: Weights & Biases, TensorBoard or Trackio, through transformers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from finetune.config import SFTConfig
from finetune.processes import is_main
from kb_index.errors import InputError

__all__ = ["check_tracker", "tracking"]

PROJECT = "kbqa"


def check_tracker(name: str) -> None:
    """Make sure that a tracker's package is installed. Raises: InputError."""
    if name != "none" and find_spec(name) is None:
        raise InputError(f"--report-to {name}: the package is not installed; run: pip install {name}")


@contextmanager
def tracking(config: SFTConfig) -> Iterator[None]:
    """Begin a run of the tracker, named after the folder of the training, whose files lie in that folder; end it.

    What the environment says (WANDB_PROJECT, WANDB_MODE, ...) goes before.
    """
    before = os.environ.get("TENSORBOARD_LOGGING_DIR")
    if config.report_to == "tensorboard" and before is None:
        os.environ["TENSORBOARD_LOGGING_DIR"] = str(config.out / "tensorboard")
    try:
        with _wandb_run(config):
            yield
    finally:
        if before is None:
            os.environ.pop("TENSORBOARD_LOGGING_DIR", None)


@contextmanager
def _wandb_run(config: SFTConfig) -> Iterator[None]:
    if config.report_to != "wandb" or not is_main():
        yield
        return
    import wandb

    with wandb.init(project=os.environ.get("WANDB_PROJECT", PROJECT), name=config.out.name, dir=config.out):
        yield
