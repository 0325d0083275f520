"""What the pictures of reports share: axes, colours, and how a picture is written.

No window and no global state: figures are made as objects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kb_index.atomic import replacing
from kb_index.errors import MissingExtraError
from kb_index.fonts import show_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["BLUE", "COLOURS", "GREY", "GRID", "ORANGE", "STYLES", "axes_of", "legend", "new_figure", "write_figures"]

BLUE, ORANGE, GREY, GRID = "#31688e", "#d95f02", "#9a9a9a", "#e4e4e4"
COLOURS = ("#3b7dd8", "#d9731a", "#2f9e63", "#c2408f", "#8a63d2", "#1d9aa8", "#b8860b", "#d1495b", "#6c8a1f", "#7f7f7f")
"""Colours of systems: each can be told from light and from dark ground."""
STYLES = ("-", "--", ":", "-.")
"""Lines of systems after each colour was used once."""
_INSIDE = 5
"""With more names than these a legend would hide what is drawn."""
_FORMATS: Mapping[str, Mapping[str, Any]] = {"png": {"dpi": 120}, "svg": {"metadata": {"Date": None}}}


def new_figure(width: float, height: float) -> Figure:
    """Make a figure of so many inches. Raises: MissingExtraError without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("eval", "matplotlib") from error
    return Figure(figsize=(width, height), layout="constrained")


def axes_of(figure: Figure, rows: int = 1, columns: int = 1, **options: Any) -> list[Axes]:
    """Give a figure plain axes with a light grid, row by row."""
    places: Sequence[Axes] = list(figure.subplots(rows, columns, squeeze=False, **options).flat)
    for axes in places:
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_axisbelow(True)
        axes.grid(color=GRID, linewidth=0.8)
    return list(places)


def legend(figure: Figure, axes: Axes, loc: str) -> None:
    """Name what is drawn, beside the axes if it is much; names of systems show whatever their characters are."""
    options: dict[str, Any] = {"frameon": False, "fontsize": "small"}
    labelled = axes.get_legend_handles_labels()
    if len(labelled[1]) > _INSIDE:
        drawn = figure.legend(*labelled, loc="outside lower center", **options)
    else:
        drawn = axes.legend(*labelled, loc=loc, **options)
    show_names(drawn.get_texts())


def write_figures(figures: Mapping[str, Figure], folder: Path) -> None:
    """Write pictures into a folder by their names, as PNG and SVG, each whole or not at all. Raises: StorageError."""
    import matplotlib as mpl

    with mpl.rc_context({"svg.hashsalt": "kbqa"}):  # the same figure is the same file
        for name, figure in figures.items():
            for kind, options in _FORMATS.items():
                with replacing(folder / f"{name}.{kind}") as part:
                    figure.savefig(part, format=kind, **options)
