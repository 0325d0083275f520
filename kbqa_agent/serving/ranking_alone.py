"""An agent that ranks without its generator, and says where it would be asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import replace
from typing import Any, NamedTuple, NoReturn

from kbqa_agent.agent import KBQAgent, Resolved
from kbqa_agent.config import AgentConfig
from kbqa_agent.dialogue import Dialogue
from kbqa_agent.streaming import Shortlist, shortlist
from kbqa_agent.types import Answer

__all__ = ["Alone", "Looked", "Way", "rank_together", "writing"]


class Way(NamedTuple):
    """How a system answers: which generator it has, None without, and whether that one writes."""

    generator: str | None
    free_text: bool = False


class Alone(NamedTuple):
    """What a question was resolved to, and its answer; None where the generator is to be asked."""

    resolved: Resolved
    answer: Answer | None
    shortlist: Shortlist | None = None


class Looked(NamedTuple):
    """The same with the agent that goes on."""

    agent: KBQAgent
    alone: Alone


ToRank = tuple[str, Dialogue | None, Way, bool]
"""A question that was read, its dialogue, how it is answered, and whether the shortlist is wanted."""


def rank_together(agent: KBQAgent, asked: Sequence[ToRank]) -> Iterator[Alone | Exception]:
    """Rank questions together; where that fails, one by one, so that nobody's question fails for another's."""
    try:
        resolved = agent.resolve_many([(question, dialogue) for question, dialogue, *_ in asked])
    except Exception as error:
        if len(asked) == 1:
            yield error
            return
        for one in asked:
            yield from rank_together(agent, [one])
        return
    for (*_, way, with_shortlist), found in zip(asked, resolved, strict=True):
        try:
            yield _answered(agent, way, found, with_shortlist)
        except Exception as error:
            yield error


def _answered(agent: KBQAgent, way: Way, resolved: Resolved, with_shortlist: bool) -> Alone:
    """Answer as far as that needs no generator."""
    told = shortlist(agent, resolved.ranked) if with_shortlist and resolved.ranked is not None else None
    asking = copy(agent)
    asking.config = writing(agent.config, way.free_text)
    if way.generator is not None:
        resolved = resolved._replace(answer=None)
        asking.generator = _Consulted(way.generator)
    try:
        return Alone(resolved, asking.answer_to(resolved), told)
    except _GeneratorNeededError:
        return Alone(resolved, None, told)


def writing(config: AgentConfig, free_text: bool) -> AgentConfig:
    """The same settings for a generator that writes, or only weighs."""
    return replace(config, free_text=free_text, decoding=config.decoding if free_text else "free")


class _GeneratorNeededError(Exception):
    """The generator would be asked."""


class _Consulted:
    """A generator that stops an answer as soon as it is asked; several threads may ask it, so none waits its turn."""

    def __init__(self, name: str) -> None:
        self.name = name

    def score(self, *_: Any, **__: Any) -> NoReturn:
        raise _GeneratorNeededError

    def generate(self, *_: Any, **__: Any) -> NoReturn:
        raise _GeneratorNeededError

    def executor(self) -> NoReturn:
        raise _GeneratorNeededError
