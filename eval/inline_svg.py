"""A figure as an SVG element to stand in a page, whose font and colours it takes."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from eval.drawing import GRID

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["inline_svg"]

_INK = "#000000"
_ROOM = 0.03
"""How much of its width a figure is given at either side."""
_REFERENCE = re.compile(r"url\(#")


def inline_svg(figure: Figure, name: str, title: str) -> str:
    """Turn a figure into an `<svg>` whose texts are texts, black is the page's ink, and whose ids begin with `name`.

    The page has to give the variable `--grid`, and what matplotlib says of all lines: round joins, butt caps.
    """
    import matplotlib as mpl

    written = io.BytesIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "kbqa"}):
        figure.savefig(written, format="svg", transparent=True, metadata={"Date": None})
    root = ElementTree.fromstring(written.getvalue())  # noqa: S314 - written by matplotlib two lines above
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.rpartition("}")[2] in ("metadata", "style"):
                parent.remove(child)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        attributes = {key.rpartition("}")[2]: value for key, value in element.attrib.items()}
        element.attrib.clear()
        element.attrib.update({key: _own(key, value, name) for key, value in attributes.items()})
    width, height = (float(root.attrib.pop(size).removesuffix("pt")) for size in ("width", "height"))
    # The page's font may be wider than the one that the figure was laid out in.
    view_box = f"{-_ROOM * width:g} 0 {(1 + 2 * _ROOM) * width:g} {height:g}"
    root.attrib.update({"viewBox": view_box, "role": "img", "aria-label": title})
    return ElementTree.tostring(root, encoding="unicode")


def _own(key: str, value: str, name: str) -> str:
    if key == "id":
        return f"{name}-{value}"
    if key == "href":
        return value.replace("#", f"#{name}-", 1)
    value = _REFERENCE.sub(f"url(#{name}-", value)
    return value.replace(_INK, "currentColor").replace(GRID, "var(--grid)") if key == "style" else value
