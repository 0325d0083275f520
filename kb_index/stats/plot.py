"""A picture of the numbers of an index, in three panels: triples per entity, attributes, homonyms.

No window and no global state: the figure is made as an object.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from kb_index.atomic import replacing
from kb_index.errors import InputError, MissingExtraError
from kb_index.fonts import LabelFont, label_font
from kb_index.stats.cells import clipped, printable
from kb_index.stats.forms import bin_label
from kb_index.stats.numbers import Bin, IndexStats

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["FORMATS", "stats_figure", "write_stats_plot"]

FORMATS = {".png": "png", ".svg": "svg"}

_BLUE, _ORANGE, _GREY = "#31688e", "#d95f02", "#555555"
_BARS = 15
_LABEL_CELLS = 20


def write_stats_plot(stats: IndexStats, path: Path) -> None:
    """Write the picture as PNG or SVG, by the ending of `path`.

    Raises:
        InputError: another ending.
        MissingExtraError: matplotlib is not installed.
        StorageError: the file cannot be written.
    """
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise InputError(f"plot '{path}': ending {path.suffix!r}, expected {' or '.join(FORMATS)}")
    figure = stats_figure(stats)
    with replacing(path) as part:
        figure.savefig(part, format=kind, dpi=120)


def stats_figure(stats: IndexStats) -> Figure:
    """Draw the three panels. Raises: MissingExtraError without matplotlib."""
    figure = _figure()
    top_attributes, top_names = _attributes(stats), _homonyms(stats)
    font = label_font("".join(label for label, _ in (*top_attributes, *top_names)))
    degrees, attributes, homonyms = figure.subplots(1, 3)
    _draw_histogram(degrees, stats.degrees, _BLUE, f"Triples of an entity\n(median {stats.degree_quantiles[50]:,})")
    degrees.set(xlabel="triples", ylabel="entities")
    _draw_names(attributes, top_attributes, font)
    attributes.set_title(f"Attributes with the most triples\n(of {stats.n_attributes:,})")
    attributes.set_xlabel("triples")
    _draw_histogram(homonyms, stats.homonyms, _ORANGE, f"Entities that share a name\n({stats.n_names:,} names)")
    homonyms.set(xlabel="entities of a name", ylabel="names")
    _list_names(homonyms, top_names, font)
    counts = stats.manifest.counts
    figure.suptitle(f"{counts.triples:,} triples of {counts.entities:,} entities")
    return figure


def _attributes(stats: IndexStats) -> list[tuple[str, int]]:
    return [(_label(a.name), a.triples) for a in stats.top_attributes[:_BARS]]


def _homonyms(stats: IndexStats) -> list[tuple[str, int]]:
    return [(_label(name), entities) for name, entities in stats.top_homonyms[:6]]


def _label(text: str) -> str:
    return clipped(printable(text), _LABEL_CELLS)


def _figure() -> Figure:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("eval", "matplotlib") from error
    return Figure(figsize=(14.0, 4.8), layout="constrained")  # inches


def _draw_histogram(axes: Axes, groups: Sequence[Bin], colour: str, title: str) -> None:
    places = range(len(groups))
    bars = axes.bar(places, [group.number for group in groups], color=colour, width=0.85)
    axes.bar_label(
        bars, [_short(group.number) if group.number else "" for group in groups], padding=2, fontsize=8, color=_GREY
    )
    axes.set_xticks(places, [bin_label(group) for group in groups], rotation=40 if len(groups) > 7 else 0, fontsize=8)
    axes.set_yscale("log")
    axes.set_ylim(0.7, max((group.number for group in groups), default=1) * 4)
    axes.set_title(title)
    _plain(axes, "y")


def _draw_names(axes: Axes, rows: Sequence[tuple[str, int]], font: LabelFont) -> None:
    places = range(len(rows))
    bars = axes.barh(places, [number for _, number in rows], color=_BLUE, height=0.75)
    axes.bar_label(bars, [_short(number) for _, number in rows], padding=3, fontsize=8, color=_GREY)
    axes.set_yticks(places, [font.label(name) for name, _ in rows], font=font.path, fontsize=9, parse_math=False)
    axes.set_xlim(0, max((number for _, number in rows), default=1) * 1.15)
    axes.xaxis.set_major_formatter(lambda number, _: _short(int(number)))
    axes.invert_yaxis()
    _plain(axes, "x")


def _list_names(axes: Axes, rows: Sequence[tuple[str, int]], font: LabelFont) -> None:
    bottom, top = axes.get_ylim()
    axes.set_ylim(bottom, top * (top / bottom) ** (0.05 * len(rows)))  # room above the bars, on a log scale
    for place, (name, number) in enumerate(rows):
        style: dict[str, Any] = {"transform": axes.transAxes, "va": "top", "fontsize": 9, "color": _GREY}
        height = 0.98 - 0.055 * place
        axes.text(0.9, height, font.label(name), ha="right", font=font.path, parse_math=False, **style)
        axes.text(0.99, height, f"{number:,}", ha="right", **style)


def _plain(axes: Axes, grid: Literal["x", "y"]) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    axes.grid(axis=grid, color="#e4e4e4", linewidth=0.8)


def _short(number: int) -> str:
    for unit, divisor in (("M", 1_000_000), ("k", 1_000)):
        if number >= divisor:
            return f"{number / divisor:.3g}{unit}"
    return str(number)
