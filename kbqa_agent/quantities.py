"""Values that can be compared: quantities with their unit, and dates."""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["Quantity", "quantity"]

_UNITS: dict[str, tuple[str, float]] = {
    "": ("", 1.0), "毫米": ("length", 1e-3), "mm": ("length", 1e-3), "厘米": ("length", 0.01), "公分": ("length", 0.01),
    "cm": ("length", 0.01), "米": ("length", 1.0), "m": ("length", 1.0), "公里": ("length", 1e3),
    "千米": ("length", 1e3), "km": ("length", 1e3), "英里": ("length", 1609.344), "ft": ("length", 0.3048),
    "平方米": ("area", 1.0), "公顷": ("area", 1e4), "亩": ("area", 666.667), "平方公里": ("area", 1e6),
    "平方千米": ("area", 1e6), "km²": ("area", 1e6), "km2": ("area", 1e6), "m²": ("area", 1.0),
    "克": ("mass", 1e-3), "g": ("mass", 1e-3), "公斤": ("mass", 1.0), "千克": ("mass", 1.0), "kg": ("mass", 1.0),
    "斤": ("mass", 0.5), "吨": ("mass", 1e3), "t": ("mass", 1e3),
    "人": ("", 1.0), "岁": ("", 1.0), "元": ("money", 1.0), "分钟": ("time", 60.0), "小时": ("time", 3600.0),
}  # fmt: skip
"""Unit -> what it measures, and how many of the basic unit it is."""

_TIMES = {
    "": 1.0,
    "百": 1e2,
    "千": 1e3,
    "万": 1e4,
    "百万": 1e6,
    "亿": 1e8,
    "万亿": 1e12,
    "million": 1e6,
    "billion": 1e9,
}
_ANY_TIMES = "|".join(sorted(filter(None, _TIMES), key=len, reverse=True))
_ANY_UNIT = "|".join(sorted(filter(None, _UNITS), key=len, reverse=True))
_QUANTITY = re.compile(
    rf"[约近]?\s*(?P<number>\d[\d,]*(?:\.\d+)?)\s*(?P<times>{_ANY_TIMES})?[多余]?\s*(?P<unit>{_ANY_UNIT})?\s*(?:[（(].*)?"
)
_DATE = re.compile(
    r"(?P<before>公元前|前)?(?P<y>\d{1,4})(?:年|[-/.](?=\d))(?:(?P<m>\d{1,2})[月/.-]?(?:(?P<d>\d{1,2})日?)?)?"
)


class Quantity(NamedTuple):
    """A value in the basic unit (metres, square metres, kilograms, seconds, days) of what it measures."""

    measures: str
    value: float


def quantity(text: str) -> Quantity | None:
    """Read a value as a quantity or a date; None where it is neither.

    >>> quantity("2.29米") == quantity("229cm"), quantity("1.2亿人")
    (True, Quantity(measures='', value=120000000.0))
    >>> quantity("1980年9月12日") > quantity("1980年3月") > quantity("公元前3年"), quantity("上海")
    (True, None)
    """
    text = text.strip()
    if date := _DATE.fullmatch(text):
        year = int(date["y"]) * (-1 if date["before"] else 1)
        return Quantity("date", year * 372 + (int(date["m"] or 1) - 1) * 31 + int(date["d"] or 1) - 1)
    if found := _QUANTITY.fullmatch(text):
        measures, unit = _UNITS[found["unit"] or ""]
        number = float(found["number"].replace(",", ""))
        return Quantity(measures, round(number * _TIMES[found["times"] or ""] * unit, 9))
    return None
