"""Readings of an English question as a chain of facts: which steps its words may mean, and what each reading costs.

The cheaper a reading, the likelier it is meant. Only steps that lead somewhere are followed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

from kbqa_agent.english_cues import Cue, Wanted, cues, is_known, is_personal, meanings_of, wanted
from kbqa_agent.paths import Step, Walk

__all__ = ["Reading", "readings"]

MAX_STEPS = 3
MAX_PENALTY = 1.2
UNKNOWN_WORD, UNREAD_CUE, UNREAD_WORK = 0.3, 1.0, 0.4
UNNAMED_STEP, SAME_AGAIN, TWICE, UNNAMED_TURN = 0.3, 0.1, 0.5, 0.4
OTHER_ORDER, OTHER_SIDE, NOT_SHARED, NOT_WANTED = 0.5, 0.3, 0.5, 1.0

Side = Literal["work", "value", "any"]


class Reading(NamedTuple):
    """A sequence of steps and what it costs; less is better."""

    penalty: float
    steps: tuple[Step, ...]


def readings(walk: Walk, before: str, after: str) -> Iterator[Reading]:
    """Yield the cheapest reading for each order of the cues, from the texts before and after the entity's name."""
    asked = wanted(before, after)
    found, at = cues(before, after)
    side = _side(before, found, at)
    found = [c for c in found if (c.meaning, c.at) != ("work", at - 1)]
    for penalty, order in _orders(found, at, side == "value", asked):
        yield from _Search(walk, order, asked, side).best(penalty)


def _side(before: str, found: Sequence[Cue], at: int) -> Side:
    """What the words before the name say that it is: the film X is a work, and what is done by X has it as value."""
    if any((c.meaning, c.at) == ("work", at - 1) for c in found):
        return "work"
    return "value" if before.split()[-1:] == ["by"] else "any"


def _orders(found: Sequence[Cue], at: int, of_value: bool, asked: Wanted) -> Iterator[tuple[float, list[Cue]]]:
    """The orders in which the cues may be met on the way from the name, what is asked for last, with penalties."""
    left = [c for c in reversed(found) if c.at < at]
    right = [c for c in found if c.at > at]
    n_next = next((i for i, c in enumerate(right) if c.at != at + 1 + i), len(right))
    attached = right[:n_next] if right and (right[0].is_role or not of_value) else []
    orders = [[*attached, *left, *right[len(attached) :]], [*left, *right], [*right, *left]]
    for i, order in enumerate(orders):
        if order not in orders[:i]:
            last = [c for c in order if c.at == asked.at]
            yield (OTHER_ORDER if i else 0.0), [c for c in order if c.at != asked.at] + last


class _Search:
    """The cheapest reading of cues in one order, by depth-first search."""

    def __init__(self, walk: Walk, order: Sequence[Cue], asked: Wanted, side: Side) -> None:
        self.walk, self.order, self.asked, self.side = walk, order, asked, side
        self._best: Reading | None = None

    def best(self, penalty: float) -> list[Reading]:
        """The cheapest reading that costs at most `MAX_PENALTY`, or none; `penalty` is that of the order."""
        self._read(0, Reading(penalty, ()))
        return [self._best] if self._best else []

    def _read(self, i: int, so_far: Reading) -> None:
        if so_far.penalty > MAX_PENALTY or (self._best and so_far.penalty >= self._best.penalty):
            return
        if i == len(self.order):
            self._finish(so_far)
            return
        for penalty, steps in self._meanings(self.order[i], so_far.steps):
            if len(steps) <= MAX_STEPS and self.walk.nodes(steps):
                self._read(i + 1, Reading(so_far.penalty + penalty, steps))

    def _finish(self, reading: Reading) -> None:
        if not reading.steps:
            return
        penalty = reading.penalty + self._end_penalty(reading.steps[-1])
        if self.side != "any":
            penalty += OTHER_SIDE * (reading.steps[0].backwards != (self.side == "value"))
        penalty += TWICE * sum(a == b for a, b in pairwise(reading.steps)) + UNNAMED_TURN * self._unnamed_turns(reading)
        if penalty <= MAX_PENALTY and (self._best is None or penalty < self._best.penalty):
            self._best = Reading(penalty, reading.steps)

    def _unnamed_turns(self, reading: Reading) -> int:
        """How often the steps go along an attribute and back to works though nothing names works or sharing."""
        turns = sum(a.attribute == b.attribute and a.backwards != b.backwards for a, b in pairwise(reading.steps))
        return max(0, turns - sum(c.shared or c.meaning == "work" for c in self.order))

    def _end_penalty(self, last: Step) -> float:
        meanings = meanings_of(last.attribute)
        if self.asked.kind == "work":
            return NOT_WANTED * (not last.backwards)
        if self.asked.kind == "person":
            return NOT_WANTED * (last.backwards or not is_personal(meanings))
        if self.asked.kind == "value":
            cue = next((c for c in self.order if c.at == self.asked.at), None)
            return NOT_WANTED * (last.backwards or cue is None or cue.meaning not in meanings)
        return 0.0

    def _meanings(self, cue: Cue, steps: tuple[Step, ...]) -> Iterator[tuple[float, tuple[Step, ...]]]:
        """What a cue may mean after some steps: its penalty, and the steps with those that it adds."""
        if cue.meaning == "work":
            yield from self._work(steps)
            return
        for backwards in (False, True):
            for attribute in self._attributes(steps, backwards, cue):
                there = Step(attribute, backwards)
                yield (NOT_SHARED if cue.shared else 0.0), (*steps, there)
                if cue.shared:
                    yield 0.0, (*steps, there, Step(attribute, not backwards))
        if steps and cue.meaning in meanings_of(steps[-1].attribute):
            yield SAME_AGAIN, steps
        yield (UNREAD_CUE if is_known(cue.meaning) else UNKNOWN_WORD), steps

    def _work(self, steps: tuple[Step, ...]) -> Iterator[tuple[float, tuple[Step, ...]]]:
        """A work is what has attributes: the end of a step against one, or what such a step leads to."""
        if steps[-1].backwards if steps else self._starts_at_work():
            yield 0.0, steps
        elif steps:
            yield UNNAMED_STEP, (*steps, Step(steps[-1].attribute, backwards=True))
        yield UNREAD_WORK, steps

    def _starts_at_work(self) -> bool:
        return any(node.ids for node in self.walk.nodes(()).values())

    def _attributes(self, steps: tuple[Step, ...], backwards: bool, cue: Cue) -> list[str]:
        attributes = dict.fromkeys(t.predicate for _, t in self.walk.triples(steps, backwards))
        return [a for a in attributes if cue.meaning in meanings_of(a)]
