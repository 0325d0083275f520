"""The loss curve of a training as a matplotlib figure; it is not shown, only returned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kb_index.errors import MissingExtraError

__all__ = ["loss_curve"]


def loss_curve(metrics: Sequence[Mapping[str, float]]) -> Any:
    """Draw training and validation loss (nats a token, logarithmic) over steps, from the lines of `metrics.jsonl`.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("eval", "matplotlib") from error
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for key, label, mark in (("loss", "training", ""), ("validation_loss", "validation", "o")):
        points = [(line["step"], line[key]) for line in metrics if line.get(key, 0) > 0]
        if points:
            axes.plot(*zip(*points, strict=True), marker=mark, label=label)
    axes.set(xlabel="step", ylabel="loss (nats a token)", yscale="log")
    axes.grid(alpha=0.3)
    if axes.lines:
        axes.legend()
    return figure
