"""Questions about the sample's facts, in varied wordings, split into train and test so that no name occurs in both."""

from __future__ import annotations

import random
import re
import tomllib
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from sample_world import Fact

from kbqa_agent.types import QAExample

TEMPLATES = tomllib.loads((Path(__file__).parent / "sample_questions.toml").read_text(encoding="utf-8"))
QUOTAS = {
    "country": 210, "city": 190, "language": 60, "currency": 60, "division": 50, "time zone": 25,
    "unit": 25, "script": 12, "calendar": 12,
}  # fmt: skip
ENGLISH, UNANSWERABLE_KNOWN = 30, 40
DESCRIBED_SHARE = 0.5
"""Share of the questions about namesakes, where an attribute has any."""
MAX_OBJECTS = 8
"""Nobody asks for a list longer than this; such facts are not asked about."""
_DESCRIBED = re.compile(r"(.+)\((.+)\)")


def questions(facts: dict[str, list[Fact]], seed: int) -> tuple[list[QAExample], list[QAExample]]:
    """Write the training and the test questions; ids count from 1 in each."""
    rng = random.Random(seed)
    drawn = [example for kind, quota in QUOTAS.items() for example in _asked(facts[kind], quota, rng)]
    drawn += _english(facts["country"], rng)
    drawn += _unanswerable(facts["country"], rng)
    rng.shuffle(drawn)
    parts: dict[bool, list[QAExample]] = {False: [], True: []}
    seen: set[str] = set()
    for name, example in drawn:
        if example.question not in seen:
            seen.add(example.question)
            part = parts[is_test(name)]
            part.append(QAExample(str(len(part) + 1), example.question, example.answers, example.triple))
    return parts[False], parts[True]


def is_test(name: str) -> bool:
    """Whether the questions about a name (and its namesakes) are test questions; true for about 3 in 10."""
    return zlib.crc32(name.encode()) % 10 < 3


def plain(subject: str) -> str:
    """Cut the description off."""
    return re.split(r"[（(]", subject)[0]


def _asked(facts: Sequence[Fact], quota: int, rng: random.Random) -> Iterator[tuple[str, QAExample]]:
    """Draw attributes evenly, and namesakes (subjects with a description) more often than their number."""
    objects: dict[tuple[str, str], list[str]] = defaultdict(list)
    for fact in facts:
        objects[fact.subject, fact.predicate].append(fact.object)
    pools: dict[str, list[str]] = defaultdict(list)
    for (subject, predicate), values in objects.items():
        if predicate in TEMPLATES["attributes"] and len(values) <= MAX_OBJECTS and predicate != "别名":
            pools[predicate].append(subject)
    asked: set[tuple[str, str]] = set()
    while len(asked) < quota:
        predicate = rng.choice(sorted(pools))
        described = [subject for subject in pools[predicate] if _DESCRIBED.fullmatch(subject)]
        subject = rng.choice(described if described and rng.random() < DESCRIBED_SHARE else pools[predicate])
        answers, mention = tuple(objects[subject, predicate]), _mention(subject, rng)
        # 明尼苏达州的圣保罗在哪个州 asks for nothing: the description gives the answer away.
        if (subject, predicate) not in asked and not any(a in mention and a != plain(subject) for a in answers):
            asked.add((subject, predicate))
            yield plain(subject), _example(subject, predicate, answers, mention, rng)


def _mention(subject: str, rng: random.Random) -> str:
    """Name an entity as people do; a part of its description says which of the namesakes is meant."""
    match = _DESCRIBED.fullmatch(subject)
    if match is None:
        return rng.choice((subject, subject, subject, f"“{subject}”")) if len(subject) > 4 else subject
    name, description = match.groups()
    if not description.endswith(("城市", "首都", "州")):
        return rng.choice((subject, f"{description}年的{name}"))
    place = re.sub(r"(城市|首都)$", "", description)
    if description == "美国州":
        return rng.choice((f"{name}州", f"美国{name}州", f"美国的{name}州"))
    if place == name:
        return f"{description}{name}"
    return rng.choice((f"{place}的{name}", f"{description}{name}", f"{place}{name}", f"{name}（{place}）"))


def _example(subject: str, predicate: str, answers: tuple[str, ...], mention: str, rng: random.Random) -> QAExample:
    templates = TEMPLATES["attributes"][predicate]
    usable = templates if is_test(plain(subject)) else templates[:-1]
    question = rng.choice(usable).replace("{s}", mention)
    return QAExample("", question, answers, (subject, predicate, answers[0]))


def _english(facts: Sequence[Fact], rng: random.Random) -> Iterator[tuple[str, QAExample]]:
    english = {fact.subject: fact.object for fact in facts if fact.predicate == "英文名"}
    pools = [f for f in facts if f.predicate in TEMPLATES["english"] and f.subject in english]
    for fact in rng.sample(pools, ENGLISH):
        answers = tuple(f.object for f in facts if f[:2] == fact[:2])
        templates = TEMPLATES["english"][fact.predicate]
        usable = templates if is_test(plain(fact.subject)) else templates[:-1]
        question = rng.choice(usable).replace("{s}", english[fact.subject])
        yield plain(fact.subject), QAExample("", question, answers, (fact.subject, fact.predicate, answers[0]))


def _unanswerable(facts: Sequence[Fact], rng: random.Random) -> Iterator[tuple[str, QAExample]]:
    """Ask for attributes that the sample has for no entity, and for entities that it does not have."""
    states = sorted({fact.subject for fact in facts if fact.predicate == "首都"})
    for subject in rng.sample(states, UNANSWERABLE_KNOWN):
        question = rng.choice(TEMPLATES["unanswerable"]["known"]).replace("{s}", subject)
        yield plain(subject), QAExample("", question, ())
    for question in TEMPLATES["unanswerable"]["unknown"]:
        yield question, QAExample("", question, ())
