"""The systems that answer, by name, over one open index, which can be swapped for a new one while questions run."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

from kb_index.errors import InputError, KBQAError, ModelError
from kbqa_agent.agent import KBQAgent
from kbqa_agent.serving.failures import ServingError
from kbqa_agent.types import Generator

__all__ = ["RANKER", "Fleet", "Source", "System", "systems_of"]

logger = logging.getLogger(__name__)

RANKER = "ranker"
"""The system that is always there: the ranker alone."""


@dataclass(frozen=True, slots=True)
class System:
    """One of several ways to answer from the same index: its generator, None without, and what it does differently."""

    name: str
    generator: Generator | None = None
    closed_book: bool = False
    """Answer from the generator's memory alone."""
    free_text: bool = False
    """Let the generator write."""

    def __post_init__(self) -> None:
        if self.closed_book and self.generator is None:
            raise ModelError(f"system {self.name!r}: closed-book answers need a generator; name a model")

    def over(self, base: KBQAgent) -> KBQAgent:
        """The agent that answers so over the index, with the ranker and the feedback, of another one."""
        agent = copy(base)
        agent.generator = self.generator
        if self.closed_book:
            agent.config = replace(agent.config, closed_book=True, generator="always")
        elif self.free_text and self.generator is not None:
            agent.config = replace(agent.config, free_text=True)
        return agent


def systems_of(agent: KBQAgent, name: str = "kbqa") -> dict[str, System]:
    """The systems of an agent as it was opened: with its generator, if it has one, and the ranker alone."""
    found = {name: System(name, agent.generator, agent.config.closed_book)} if agent.generator is not None else {}
    return found | {RANKER: System(RANKER)}


class Fleet:
    """One state of the index and all systems over it; closed when nobody uses it any more."""

    def __init__(self, base: KBQAgent, systems: Mapping[str, System], close: Callable[[], None] | None = None) -> None:
        if not systems:
            raise InputError("no system to answer with; name one, or leave it to the default")
        plain = copy(base)
        plain.generator = None
        plain.config = replace(base.config, closed_book=False)
        self.base, self.systems = plain, dict(systems)
        self._close = close or base.close
        self._lock, self._users = threading.Lock(), 0
        self._is_retired = self._is_closed = False

    @property
    def default(self) -> str:
        """The first system's name."""
        return next(iter(self.systems))

    def system(self, name: str | None) -> System:
        """The system of a name, the first one for None. Raises: ServingError."""
        found = self.systems.get(name if name is not None else self.default)
        if found is None:
            raise ServingError(404, f"system {str(name)[:60]!r}: expected one of {', '.join(self.systems)}")
        return found

    @contextmanager
    def in_use(self) -> Iterator[Fleet]:
        """Keep it open until the end of a block."""
        with self._lock:
            self._users += 1
        try:
            yield self
        finally:
            with self._lock:
                self._users -= 1
            self._close_if_unused()

    def retire(self) -> None:
        """Close it as soon as nobody uses it."""
        self._is_retired = True
        self._close_if_unused()

    def _close_if_unused(self) -> None:
        with self._lock:
            ends = self._is_retired and not self._users and not self._is_closed
            self._is_closed = self._is_closed or ends
        if ends:
            self._close()


class Source:
    """Gives the fleet of now, and swaps it for one over the index as it is now.

    `reopen` opens the index anew; without it the same agent looks again at its folder. Who gave the agent closes it.
    """

    def __init__(
        self, agent: KBQAgent, systems: Mapping[str, System], reopen: Callable[[], KBQAgent] | None = None
    ) -> None:
        self._agent, self._reopen = agent, reopen
        self._lock = threading.Lock()
        self.now = Fleet(agent, systems, close=lambda: None)
        self.n_reloads = 0

    def reload(self) -> bool:
        """Answer from what the index folder holds now; says whether that may be something else.

        What runs ends on the old state; an error leaves it in place. Raises: IndexFolderError and others as
        `KBQAgent.open`; ServingError while another reload runs.
        """
        if not self._lock.acquire(blocking=False):
            raise ServingError(409, "the index is being reloaded already; wait for that")
        try:
            if self._reopen is None:
                changed = self._agent.kb.reopen()
            else:
                old, self.now = self.now, Fleet(self._opened(self._reopen), self.now.systems)
                old.retire()
                changed = True
            self.n_reloads += 1
            return changed
        finally:
            self._lock.release()

    def close(self) -> None:
        """Close what was opened by a reload."""
        self.now.retire()

    @staticmethod
    def _opened(reopen: Callable[[], KBQAgent]) -> KBQAgent:
        agent = reopen()
        try:
            agent.kb.preload()
        except KBQAError:
            agent.close()
            raise
        return agent

    def describe(self) -> dict[str, Any]:
        """What is told of the index and the systems."""
        manifest = self.now.base.kb.manifest
        counts = manifest.counts
        return {
            "index": {
                "created": manifest.created,
                "entities": counts.entities,
                "attributes": counts.attributes,
                "triples": counts.triples,
                "updates": len(manifest.updates),
            },
            "systems": [
                {"name": s.name, "model": s.generator.name if s.generator else None, "closed_book": s.closed_book}
                for s in self.now.systems.values()
            ],
        }
