"""Made-up but plausible Chinese entities, so that a small language model learns to copy the right value.

What it does: expands the grammar of `grammar/*.toml`, in which `{name}` stands for a random entry of the list `name`
and `{1900-2015}` for a random number of that range. What it does not do: state facts; nothing it makes is true.
"""

from __future__ import annotations

import random
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from kb_index.errors import InputError
from kb_index.types import Triple

__all__ = ["synthetic_entities"]

MIN_ATTRIBUTES, MAX_ATTRIBUTES = 6, 14
DESCRIBED_SHARE = 0.25
"""Share of the entities whose name carries a bracketed description, as homonyms have it."""
ALIAS_SHARE = 0.4
"""Share of the entities with a triple 别名 that repeats the plain name, as bases made from encyclopaedias have it."""
OTHER_NAME_SHARE = 0.15
"""Share of the entities with a triple of `NAMING` that gives another name."""
NAMING = ("又名", "简称", "别称", "曾用名")
SPACED_SHARE = 0.02
"""Share of the two-character attributes with a blank inside (民 族), as people typed them."""

_SLOT = re.compile(r"\{(?:(\d+)-(\d+)|([^{}]+))\}")
_BLANK = re.compile(r"_(?![^{}]*\})")


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of entity: patterns for its name and its description, and the values of its attributes."""

    names: tuple[str, ...]
    descriptions: tuple[str, ...]
    attributes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Grammar:
    lists: Mapping[str, tuple[str, ...]]
    kinds: tuple[_Kind, ...]

    def expand(self, pattern: str, rng: random.Random) -> str:
        """Fill the slots of a pattern, and those of what fills them."""

        def fill(match: re.Match[str]) -> str:
            low, high, name = match.groups()
            return str(rng.randint(int(low), int(high))) if low else self.expand(rng.choice(self.lists[name]), rng)

        return _SLOT.sub(fill, pattern)


@cache
def _grammar() -> _Grammar:
    lists: dict[str, tuple[str, ...]] = {}
    kinds: dict[str, _Kind] = {}
    for resource in files("finetune").joinpath("grammar").iterdir():
        if resource.name.endswith(".toml"):
            tables = tomllib.loads(resource.read_text(encoding="utf-8"))
            lists.update({name: _entries(entries) for name, entries in tables.get("lists", {}).items()})
            kinds.update({name: _kind(table) for name, table in tables.get("kinds", {}).items()})
    return _Grammar(lists, tuple(kinds[name] for name in sorted(kinds)))


def _kind(table: Mapping[str, Any]) -> _Kind:
    return _Kind(_entries(table["name"]), _entries(table["description"]), table["attributes"])


def _entries(entries: str | list[str]) -> tuple[str, ...]:
    """Split a list written as one string, in which _ outside a slot stands for a blank."""
    if isinstance(entries, str):
        return tuple(_BLANK.sub(" ", entry) for entry in entries.split())
    return tuple(entries)


def synthetic_entities(n: int, seed: int) -> list[list[Triple]]:
    """Make up `n` entities, each the list of its 6 to 14 attributes' triples.

    Subject ids count from 0 and triple ids run through all entities. Another seed gives other entities, so that a seed
    can be held out.

    Raises:
        InputError: `n` is negative.
    """
    if n < 0:
        raise InputError(f"n={n} entities: expected 0 or more")
    rng, grammar = random.Random(seed), _grammar()
    entities: list[list[Triple]] = []
    first_id = 0
    for subject_id in range(n):
        entities.append(_entity(grammar, rng, subject_id, first_id))
        first_id += len(entities[-1])
    return entities


def _entity(grammar: _Grammar, rng: random.Random, subject_id: int, first_id: int) -> list[Triple]:
    kind = rng.choice(grammar.kinds)
    name = subject = grammar.expand(rng.choice(kind.names), rng)
    if rng.random() < DESCRIBED_SHARE:
        subject = f"{name}({grammar.expand(rng.choice(kind.descriptions), rng)})"
    n_attributes = rng.randint(MIN_ATTRIBUTES, min(MAX_ATTRIBUTES, len(kind.attributes)))
    pairs: list[tuple[str, str]] = []
    if rng.random() < ALIAS_SHARE:
        pairs.append(("别名", name))
    if rng.random() < OTHER_NAME_SHARE:
        pairs.append((rng.choice(NAMING), grammar.expand(rng.choice(kind.names), rng)))
    left = [names for names in kind.attributes if not {p for p, _ in pairs} & set(names.split("|"))]
    drawn = rng.sample(left, min(len(left), n_attributes - len({p for p, _ in pairs})))
    pairs += [(_attribute(names, rng), grammar.expand(kind.attributes[names], rng)) for names in drawn]
    return [Triple(first_id + i, subject, p, o, subject_id) for i, (p, o) in enumerate(pairs)]


def _attribute(names: str, rng: random.Random) -> str:
    name = rng.choice(names.split("|"))
    return " ".join(name) if len(name) == 2 and rng.random() < SPACED_SHARE else name
