"""The curves of trainings as a matplotlib figure: several runs in one picture, resumed parts in a lighter colour.

Figures are not shown, only returned or written.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import ceil
from pathlib import Path
from typing import Any

from finetune.record import read_metrics
from kb_index.atomic import replacing
from kb_index.errors import InputError, MissingExtraError
from kb_index.fonts import show_names

__all__ = ["draw_if_possible", "run_curves", "write_run_plot"]

logger = logging.getLogger(__name__)

Lines = Sequence[Mapping[str, float]]
Point = tuple[float, float, float]
"""Step or stage, value, and how often the run was resumed before."""
PANELS: tuple[tuple[str, dict[str, tuple[str, str]]], ...] = (
    ("loss (nats)", {"loss": ("training", "-"), "validation_loss": ("validation", "o--")}),
    ("learning rate", {"learning_rate": ("", "-")}),
    ("reward", {"reward": ("samples", "o-"), "best_reward": ("best", "o:"), "held_out_reward": ("held out", "o--")}),
    ("held-out score", {"f1": ("F1", "o-"), "exact_match": ("exact match", "o--"), "held_out_accuracy": ("", "o-")}),
    (
        "diversity",
        {
            "distinct_1": ("distinct-1", "o-"),
            "distinct_2": ("distinct-2", "o--"),
            "commonest_token": ("commonest", "o:"),
        },
    ),
    ("drift from the start (nats a token)", {"kl": ("", "o-")}),
    ("perplexity of a character", {"perplexity": ("", "o-")}),
    ("tokens of a sample", {"tokens": ("", "o-")}),
)
LOGARITHMIC = "loss (nats)"
OF_STAGES = "tokens"
"""In lines of stages these are a sample's; in those of steps, what was read by then, which is not drawn."""
PANELS_IN_A_ROW = 4
# fmt: off
TONES = (
    "#1f77b4", "#8fbfe6", "#d65f0e", "#ffb26b", "#2a8f2a", "#90d98a", "#c22b2c", "#ff9896", "#8058b0", "#c5b0d5",
    "#7d5147", "#c49c94", "#c85aad", "#f7b6d2", "#666666", "#bdbdbd", "#9a9b1b", "#d4d466", "#1497a5", "#8fd3de",
)
# fmt: on
"""Colours of runs, each in full and light."""
BREAK: dict[str, Any] = {"marker": "s", "linestyle": "none", "color": "black", "fillstyle": "none", "markersize": 9}


def run_curves(runs: Mapping[str, Lines]) -> Any:
    """Draw what was measured in the lines of each run's `metrics.jsonl`, by its name.

    Steps or stages go to the right. A run has one colour; where it was resumed, its line goes on after a hollow square
    in the lighter tone of that colour, and in the full one again where it was resumed once more.

    Raises: MissingExtraError where matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator
    except ImportError as error:
        raise MissingExtraError("eval", "matplotlib") from error
    keys = {key for lines in runs.values() for line in lines for key in line if _is_drawn(line, key)}
    panels = [panel for panel in PANELS if keys & panel[1].keys()] or [PANELS[0]]
    rows, columns = ceil(len(panels) / PANELS_IN_A_ROW), min(len(panels), PANELS_IN_A_ROW)
    figure = Figure(figsize=(max(7.0, 5.5 * columns), 4.2 * rows), layout="constrained")
    places = figure.subplots(rows, columns, squeeze=False).flat
    for axes in list(places)[len(panels) :]:
        axes.remove()
    for axes, (title, curves) in zip(figure.axes, panels, strict=True):
        for number, (name, lines) in enumerate(runs.items()):
            _draw_run(axes, lines, curves, name if len(runs) > 1 else "", number)
        if any(line.get("part", 0) for lines in runs.values() for line in lines):
            axes.plot([], [], **BREAK, label="resumed")
        staged = any("stage" in line for lines in runs.values() for line in lines)
        axes.set(xlabel="stage" if staged else "step", ylabel=title)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if title == LOGARITHMIC and axes.lines:
            axes.set_yscale("log")
        axes.grid(alpha=0.3)
        if any(axes.get_legend_handles_labels()):
            show_names(axes.legend(fontsize="small").get_texts())
    return figure


def write_run_plot(folders: Sequence[Path], out: Path) -> None:
    """Draw the runs in these folders into one picture, whose format is the ending of `out`.

    Raises: InputError where a folder has no metrics, or the ending is no picture's; MissingExtraError; StorageError.
    """
    if out.suffix not in (".png", ".svg", ".pdf"):
        raise InputError(f"{out}: expected a name that ends in .png, .svg or .pdf")
    names = _short_names(folders)
    runs = {name: read_metrics(folder / "metrics.jsonl") for name, folder in zip(names, folders, strict=True)}
    for folder, lines in zip(folders, runs.values(), strict=True):
        if not lines:
            raise InputError(f"{folder}: no lines in a metrics.jsonl; expected the folder of a `kbqa finetune`")
    figure = run_curves(runs)
    with replacing(out) as part:
        figure.savefig(part, format=out.suffix[1:], dpi=120)


def draw_if_possible(folders: Sequence[Path], out: Path) -> None:
    """Draw the runs in these folders where matplotlib is installed: a training is worth keeping without its picture."""
    try:
        write_run_plot(folders, out)
    except MissingExtraError as error:
        logger.warning("no curves: %s", error)


def _is_drawn(line: Mapping[str, float], key: str) -> bool:
    return key != OF_STAGES or "stage" in line


def _draw_run(axes: Any, lines: Lines, curves: Mapping[str, tuple[str, str]], name: str, run: int) -> None:
    for number, (key, (label, style)) in enumerate(curves.items()):
        points = [
            (line.get("step", line.get("stage", 0)), line[key], line.get("part", 0))
            for line in lines
            if key in line and _is_drawn(line, key)
        ]
        named: str | None = ": ".join(filter(None, (name, label))) or None
        colour = 2 * ((run if name else number) % (len(TONES) // 2))
        for tone, piece in enumerate(_pieces(points)):
            drawn = {"color": TONES[colour + tone % 2], "label": None if tone else named, "markersize": 4}
            axes.plot([x for x, *_ in piece], [y for _, y, _ in piece], style, **drawn)
        breaks = [before for before, after in pairwise(points) if after[2] != before[2]]
        for x, y, _ in breaks if key in ("loss", "learning_rate") else ():
            axes.plot([x], [y], **BREAK)


def _pieces(points: Sequence[Point]) -> list[list[Point]]:
    """Cut a curve where it was resumed; each piece begins where the one before ends, so that no gap is seen."""
    pieces: list[list[Point]] = []
    for point in points:
        if not pieces or point[2] != pieces[-1][-1][2]:
            pieces.append(pieces[-1][-1:] if pieces else [])
        pieces[-1].append(point)
    return pieces


def _short_names(folders: Sequence[Path]) -> list[str]:
    """Name runs by their folders, and by the whole path where two are called alike."""
    names = [folder.resolve().name for folder in folders]
    return names if len(set(names)) == len(names) else [str(folder) for folder in folders]
