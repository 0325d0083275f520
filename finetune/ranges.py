"""The ranges of a training's settings, and the one error that names a setting outside of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from kb_index.errors import InputError

__all__ = ["Range", "at_least", "check_ranges", "one_of", "over_zero", "shares"]

Range = tuple[str, Callable[[Any], bool], str]
"""A setting's name, whether a value fits, and what is expected of it."""


def check_ranges(settings: object, ranges: Iterable[Range]) -> None:
    """Make sure that each of the settings is in its range. Raises: InputError, naming the first that is not."""
    for name, fits, expected in ranges:
        value = getattr(settings, name)
        if not fits(value):
            raise InputError(f"{name}={value}: expected {expected}")


def at_least(least: int, *names: str, why: str = "") -> tuple[Range, ...]:
    """Settings of at least `least`, or None; `why` goes behind the number."""
    return tuple((name, lambda value: value is None or value >= least, f"at least {least}{why}") for name in names)


def over_zero(*names: str) -> tuple[Range, ...]:
    """Settings over 0."""
    return tuple((name, lambda value: value > 0, "a number over 0") for name in names)


def shares(*names: str) -> tuple[Range, ...]:
    """Settings from 0 to under 1."""
    return tuple((name, lambda value: 0.0 <= value < 1.0, "a share from 0 to under 1") for name in names)


def one_of(name: str, known: tuple[str, ...]) -> Range:
    """A setting that has one of the known values."""
    return (name, lambda value: value in known, f"one of {', '.join(known)}")
