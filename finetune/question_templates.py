"""The hand-written question templates that ship with the package, as one frozen value.

What it does: reads `templates/*.toml` and groups the templates by kind of entity and by attribute. What it does not do:
choose among them; that is `generated.py`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

__all__ = ["COMMON", "Kind", "Templates", "load_templates"]

COMMON = "any"
"""The name of the kind whose templates fit every entity."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How people name and ask about one kind of entity: attribute -> templates with `{s}` (and `{p}`) to fill."""

    mentions: tuple[str, ...]
    questions: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Templates:
    """All templates.

    `kinds` maps a kind's name ("person", "book", ... and `COMMON`) to its templates, `generic` a type of value
    ("thing", "person", "place", "time", "number") to templates for any attribute, and `frames` wrap a question `{q}`.
    """

    kinds: Mapping[str, Kind]
    generic: Mapping[str, tuple[str, ...]]
    frames: tuple[str, ...]


@cache
def load_templates() -> Templates:
    """Read the packaged templates; attributes are as `generated.plain_attribute` gives them.

    >>> load_templates().kinds["book"].questions["译者"][0]
    '{s}是谁翻译的'
    """
    tables: dict[str, dict[str, object]] = {}
    for resource in files("finetune").joinpath("templates").iterdir():
        if resource.name.endswith(".toml"):
            tables.update(tomllib.loads(resource.read_text(encoding="utf-8")))
    frames, generic = tables.pop("frames"), tables.pop("generic")
    return Templates(
        kinds={name: _kind(table) for name, table in sorted(tables.items())},
        generic={value_type: _strings(questions) for value_type, questions in generic.items()},
        frames=_strings(frames),
    )


def _kind(table: dict[str, object]) -> Kind:
    groups = table["questions"]
    if not isinstance(groups, dict):
        raise TypeError(f"templates: 'questions' is a {type(groups).__name__}, expected a table")
    questions = {name: _strings(asked) for names, asked in groups.items() for name in names.split("|")}
    return Kind(mentions=_strings(table["mentions"]), questions=questions)


def _strings(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError(f"templates: got a {type(value).__name__}, expected a list of strings")
    return tuple(str(item) for item in value)
