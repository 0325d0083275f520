"""The curves of a RAFT training over its stages as a matplotlib figure; it is not shown, only returned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kb_index.errors import MissingExtraError

__all__ = ["raft_curves"]

PANELS = (
    ("reward", {"reward": "mean of samples", "best_reward": "best of each prompt", "held_out_reward": "held out"}),
    ("held-out score", {"f1": "official F1", "exact_match": "exact match"}),
    ("diversity", {"distinct_1": "distinct-1", "distinct_2": "distinct-2", "commonest_token": "commonest token"}),
    ("nats a token", {"kl": "KL to the start"}),
    ("perplexity of a character", {"perplexity": "held-out gold"}),
    ("tokens", {"tokens": "length of a sample"}),
)


def raft_curves(metrics: Sequence[Mapping[str, float]]) -> Any:
    """Draw reward, held-out scores, diversity, KL, perplexity and length over stages, from `metrics.jsonl`'s lines.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator
    except ImportError as error:
        raise MissingExtraError("eval", "matplotlib") from error
    figure = Figure(figsize=(11, 6), layout="constrained")
    for axes, (title, curves) in zip(figure.subplots(2, 3).flat, PANELS, strict=True):
        for key, label in curves.items():
            points = [(line["stage"], line[key]) for line in metrics if key in line]
            if points:
                axes.plot(*zip(*points, strict=True), marker="o", label=label)
        axes.set(xlabel="stage", ylabel=title)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend()
    return figure
