"""The figures of RAFT's stages sent to a tracker: Weights & Biases, TensorBoard or Trackio, a stage as a step."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from finetune.trackers import trackio_project, wandb_run

__all__ = ["Report", "stage_reporter"]

Report = Callable[[Mapping[str, float]], None]


@contextmanager
def stage_reporter(tracker: str, out: Path) -> Iterator[Report]:
    """Begin a run named after the folder `out`, lend the function that sends a line of `metrics.jsonl`, end the run.

    With the tracker "none" the function does nothing.
    """
    begin = {"wandb": _wandb, "tensorboard": _tensorboard, "trackio": _trackio}.get(tracker)
    send, end = begin(out) if begin else (lambda _figures, _stage: None, lambda: None)
    try:
        yield lambda line: send({name: value for name, value in line.items() if name != "stage"}, int(line["stage"]))
    finally:
        end()


Sender = tuple[Callable[[dict[str, float], int], Any], Callable[[], Any]]


def _wandb(out: Path) -> Sender:
    run = wandb_run(out)
    return lambda figures, stage: run.log(figures, step=stage), run.finish


def _tensorboard(out: Path) -> Sender:
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(os.environ.get("TENSORBOARD_LOGGING_DIR", str(out / "tensorboard")))

    def send(figures: dict[str, float], stage: int) -> None:
        for name, value in figures.items():
            writer.add_scalar(name, value, stage)

    return send, writer.close


def _trackio(out: Path) -> Sender:
    trackio = import_module("trackio")
    trackio.init(project=trackio_project(), name=out.name)
    return lambda figures, stage: trackio.log(figures, step=stage), trackio.finish
