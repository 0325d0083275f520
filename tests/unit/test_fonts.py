"""Labels of plots: which font they get, and what they become where no font has their characters."""

from __future__ import annotations

import logging

import pytest

pytest.importorskip("matplotlib", reason="needs the extra [eval]")

from kb_index import fonts
from kb_index.fonts import label_font, show_names


def test_without_a_chinese_font_boxes_stand_for_the_characters_and_it_is_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(fonts, "_candidates", list)
    fonts._warn_of_boxes.cache_clear()
    with caplog.at_level(logging.WARNING):
        assert label_font("排序器 ranker").label("排序器 ranker") == "□□□ ranker"
        label_font("排序器")
    assert [record.message for record in caplog.records] == [
        "labels of plots: no font here has all of their characters, boxes stand for the others; "
        "install a font such as Noto Sans CJK, or pip install 'kbqa[eval]'"
    ]


def test_the_font_of_the_extra_has_chinese_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pylopdf_fonts_zh_cn", reason="needs the extra [eval]")
    monkeypatch.setattr(fonts, "_candidates", fonts._packaged)
    assert label_font("排序器").label("排序器") == "排序器"


def test_names_keep_their_size_and_are_no_formulas() -> None:
    from matplotlib.figure import Figure

    text = Figure().text(0, 0, "甲 $x^2$", fontsize=7)
    show_names([text])
    assert (text.get_text(), text.get_fontsize(), text.get_parse_math()) == ("甲 $x^2$", 7.0, False)
