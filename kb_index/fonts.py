"""A font for the labels of a plot that come from the data, which matplotlib's own font mostly has no characters for."""

from __future__ import annotations

import logging
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from matplotlib.text import Text

__all__ = ["LabelFont", "label_font", "show_names"]

logger = logging.getLogger(__name__)

# fmt: off
_FAMILIES = (
    "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "Source Han Sans CN", "PingFang SC", "Hiragino Sans GB",
    "Microsoft YaHei", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "Heiti SC", "STHeiti", "SimHei", "Noto Sans CJK JP",
    "Noto Sans CJK TC", "Droid Sans Fallback", "Arial Unicode MS", "Noto Serif CJK SC", "SimSun",
)
# fmt: on

_MISSING = "□"
_ADVICE = "install a font such as Noto Sans CJK, or pip install 'kbqa[eval]'"


class LabelFont(NamedTuple):
    """A font's file, and the characters of the labels that it has."""

    path: Path
    characters: frozenset[str]

    def label(self, text: str) -> str:
        """Give a text with boxes for the characters that the font lacks, as a font does that has boxes."""
        missing = _MISSING if _MISSING in self.characters else "?"
        return "".join(c if c in self.characters else missing for c in text)


def label_font(text: str) -> LabelFont:
    """Pick the font with the most characters of a text: matplotlib's own, an installed Chinese one, or the extra's.

    A log line says, once a process, that some have no font; they are drawn as boxes.
    """
    best = _covered(_default(), text)
    for path in _candidates():
        if set(text) <= best.characters:
            break
        found = _covered(path, text)
        if len(found.characters) > len(best.characters):
            best = found
    if not set(text) <= best.characters:
        _warn_of_boxes()
    return best


def show_names(texts: Iterable[Text]) -> None:
    """Let texts of a figure that hold names from data show as they are: in a font that has them, and never as formulas.

    Size and weight stay.
    """
    texts = list(texts)
    font = label_font("".join(text.get_text() for text in texts))
    for text in texts:
        properties = text.get_fontproperties().copy()
        properties.set_file(str(font.path))
        text.set_fontproperties(properties)
        text.set_parse_math(False)
        text.set_text(font.label(text.get_text()))


@cache
def _warn_of_boxes() -> None:
    logger.warning("labels of plots: no font here has all of their characters, boxes stand for the others; %s", _ADVICE)


def _covered(path: Path, text: str) -> LabelFont:
    characters = _characters(path)
    return LabelFont(path, frozenset(c for c in (*text, _MISSING, "?") if ord(c) in characters))


@cache
def _characters(path: Path) -> frozenset[int]:
    from matplotlib.font_manager import get_font

    return frozenset(get_font(str(path)).get_charmap())


def _default() -> Path:
    from matplotlib.font_manager import FontProperties, findfont

    return Path(findfont(FontProperties()))


def _candidates() -> list[Path]:
    """List the installed fonts that mostly have Chinese characters, the better-looking ones first."""
    from matplotlib.font_manager import fontManager

    upright = [f for f in fontManager.ttflist if f.name in _FAMILIES and f.style == "normal"]
    upright.sort(key=lambda font: (_FAMILIES.index(font.name), abs(_weight(font.weight) - 400), font.fname))
    return [*(Path(font.fname) for font in upright), *_packaged()]


def _weight(weight: int | str) -> int:
    return weight if isinstance(weight, int) else 400


def _packaged() -> list[Path]:
    try:
        from pylopdf_fonts_zh_cn import sans_path
    except ImportError:
        return []
    return [sans_path()]
