"""Facts about units, time zones, days and months, from CLDR (through Babel) and the time-zone database (tzdata)."""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Iterator
from datetime import datetime, timedelta

from babel.core import get_global
from babel.units import get_unit_name
from sample_world import EN, FOREIGN, ZH, Fact, territories

UNIT_KINDS = {
    "area": "面积单位", "digital": "信息量单位", "duration": "时间单位", "electric": "电学单位", "energy": "能量单位",
    "frequency": "频率单位", "length": "长度单位", "light": "光学单位", "mass": "质量单位", "power": "功率单位",
    "pressure": "压强单位", "speed": "速度单位", "temperature": "温度单位", "volume": "体积单位",
}  # fmt: skip
NO_UNITS = {"光", "滴", "撮", "夜", "温度", "蒲福风级", "量杯", "打兰", "克拉", "吨"}
"""Names that CLDR needs for formatting and that alone name no unit, or another one: its 吨 is the short ton."""
_HAN = re.compile(r"[\u4e00-\u9fff]+(/[\u4e00-\u9fff]+)?")


def unit_facts() -> Iterator[Fact]:
    """Describe units of measurement: English name, symbol, what they measure."""
    seen: set[str] = set()
    for unit in sorted(ZH.unit_display_names):
        name = get_unit_name(unit, "long", ZH) or get_unit_name(unit, "short", ZH) or ""
        kind = UNIT_KINDS.get(unit.partition("-")[0])
        if not kind or not _HAN.fullmatch(name) or name in seen | NO_UNITS or name.startswith("个"):
            continue
        seen.add(name)
        yield Fact(name, "类别", kind)
        english, symbol = _pattern(unit, "long", "one"), _pattern(unit, "short", "other")
        if english:
            yield Fact(name, "英文名", english)
        if symbol and symbol != english and len(symbol) <= 8 and kind != "时间单位":
            yield Fact(name, "符号", symbol)


def _pattern(unit: str, length: str, number: str) -> str:
    """Return the English words or symbol without the number beside them; Babel's functions format numbers only."""
    pattern = EN._data["unit_patterns"][unit].get(length, {}).get(number, "")
    return str(pattern).replace("{0}", "").strip()


def calendar_facts() -> Iterator[Fact]:
    """Name the days of the week and the months in other languages."""
    tables = [(ZH.days, EN.days, {p: loc.days for p, loc in FOREIGN.items()})]
    tables.append((ZH.months, EN.months, {p: loc.months for p, loc in FOREIGN.items()}))
    for chinese, english, foreign in tables:
        for key in sorted(chinese["format"]["wide"]):
            name = chinese["format"]["wide"][key]
            yield Fact(name, "英文名", english["format"]["wide"][key])
            short = english["format"]["abbreviated"][key]
            if short != english["format"]["wide"][key]:
                yield Fact(name, "英文缩写", short)
            for predicate, table in foreign.items():
                yield Fact(name, predicate, table["stand-alone"]["wide"][key])


def time_zone_facts() -> Iterator[Fact]:
    """Describe the zones of standard time that have a Chinese name: difference to UTC and where they hold."""
    zoneinfo.reset_tzpath(to=())  # the tzdata package, not this machine's own files
    members: dict[str, list[str]] = {}
    for zone, metazone in sorted(get_global("meta_zones").items()):
        if zone in get_global("zone_territories"):
            members.setdefault(metazone, []).append(zone)
    names = territories()
    for metazone, zones in sorted(members.items()):
        long = ZH.meta_zones.get(metazone, {}).get("long", {})
        offsets = {_offset(zone) for zone in zones}
        if "standard" not in long or len(offsets) != 1:
            continue
        name = long["standard"]
        english = EN.meta_zones.get(metazone, {}).get("long", {}).get("standard")
        if english:
            yield Fact(name, "英文名", english)
        if long.get("generic") and long["generic"] != name:
            yield Fact(name, "别名", long["generic"])
        yield Fact(name, "与UTC的时差", offsets.pop())
        if "daylight" in long and _saves_daylight(zones):
            yield Fact(name, "夏令时名称", long["daylight"])
        states = dict.fromkeys(get_global("zone_territories")[zone] for zone in zones)
        for code in [c for c in states if c in names][:10]:
            yield Fact(name, "使用地区", names[code])


def _offset(zone: str) -> str:
    """Return the standard time's difference to UTC in 2025, such as UTC+5:30."""
    moments = [datetime(2025, month, 1, tzinfo=zoneinfo.ZoneInfo(zone)) for month in (1, 7)]
    minutes = min(m.utcoffset() or timedelta() for m in moments) // timedelta(minutes=1)
    hours, rest = divmod(abs(minutes), 60)
    return f"UTC{'-' if minutes < 0 else '+'}{hours}" + (f":{rest:02d}" if rest else "")


def _saves_daylight(zones: list[str]) -> bool:
    def offsets(zone: str) -> set[timedelta | None]:
        return {datetime(2025, month, 1, tzinfo=zoneinfo.ZoneInfo(zone)).utcoffset() for month in (1, 7)}

    return any(len(offsets(zone)) > 1 for zone in zones)
