"""The systems that answer, by name, over one open index, which can be swapped for a new one while questions run."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

from kb_index.errors import InputError, KBQAError, ModelError
from kb_index.manifest import Manifest
from kbqa_agent.agent import KBQAgent
from kbqa_agent.recipe import AgentRecipe
from kbqa_agent.serving.failures import ServingError
from kbqa_agent.serving.rank_processes import RankProcesses
from kbqa_agent.serving.ranking_alone import Way, writing
from kbqa_agent.types import Generator

__all__ = ["RANKER", "Fleet", "FleetClosedError", "Source", "System", "systems_of"]

logger = logging.getLogger(__name__)

END_SECONDS = 5.0
"""So long processes that rank may take to end."""
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

    @property
    def way(self) -> Way:
        """How it answers, for who has no generator at hand."""
        return Way(self.generator.name if self.generator else None, self.free_text)

    def over(self, base: KBQAgent) -> KBQAgent:
        """The agent that answers so over the index, with the ranker and the feedback, of another one."""
        agent = copy(base)
        agent.generator = self.generator
        if self.closed_book:
            agent.config = replace(agent.config, closed_book=True, generator="always")
        else:
            agent.config = writing(agent.config, self.free_text)
        return agent


def systems_of(agent: KBQAgent, name: str = "kbqa") -> dict[str, System]:
    """The systems of an agent as it was opened: with its generator, if it has one, and the ranker alone."""
    config = agent.config
    has_one = agent.generator is not None and config.generator != "never"
    found = {name: System(name, agent.generator, config.closed_book, config.free_text)} if has_one else {}
    return found | {RANKER: System(RANKER)}


class FleetClosedError(Exception):
    """A state of the index that nobody used was closed: another one has taken its place."""


class Fleet:
    """One state of the index and all systems over it; closed when nobody uses it any more."""

    def __init__(
        self,
        base: KBQAgent,
        systems: Mapping[str, System],
        close: Callable[[], None] | None = None,
    ) -> None:
        if not systems:
            raise InputError("no system to answer with; name one, or leave it to the default")
        plain = copy(base)
        plain.generator = None
        plain.config = replace(base.config, closed_book=False)
        self.base, self.systems = plain, dict(systems)
        self.processes: RankProcesses | None = None
        self._close_base = close or base.close
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

    @property
    def n_rankers(self) -> int:
        """How many processes rank; without any the server ranks itself."""
        return self.processes.n_alive if self.processes is not None else 0

    @contextmanager
    def in_use(self) -> Iterator[Fleet]:
        """Keep it open until the end of a block. Raises: FleetClosedError."""
        with self._lock:
            if self._is_closed:
                raise FleetClosedError
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
            if self.processes is not None:
                self.processes.close()
            self._close_base()


class Source:
    """Gives the fleet of now, and swaps it for one over the index as it is now.

    `recipe` says how the index is opened anew, and in the processes that `start` makes; without it the same agent
    looks again at its folder, and ranks alone. Who gave the agent closes it.
    """

    def __init__(
        self,
        agent: KBQAgent,
        systems: Mapping[str, System],
        recipe: AgentRecipe | None = None,
        start: Callable[[AgentRecipe, Manifest], RankProcesses | None] = lambda *_: None,
    ) -> None:
        self._agent, self._recipe, self._start = agent, recipe, start
        self._lock = threading.Lock()
        self.n_reloads = 0
        self._is_closed = False
        # Its owner closes the agent; an index that a reload has replaced is of no more use to anybody.
        self.now = Fleet(agent, systems, lambda: agent.kb.close() if recipe and self.n_reloads else None)

    @contextmanager
    def use(self) -> Iterator[Fleet]:
        """Lend the fleet of now, and keep it open until the end of a block. Raises: ServingError while it stops."""
        with ExitStack() as stack:
            while True:
                try:
                    fleet = stack.enter_context(self.now.in_use())
                except FleetClosedError:  # a reload has put another one in its place, or the server stops
                    if self._is_closed:
                        raise ServingError.later(503, "the server is stopping; try again", 5) from None
                else:
                    break
            yield fleet

    def start_processes(self) -> None:
        """Start the processes that rank, and wait until they can."""
        if self._recipe is not None:
            self.now.processes = self._processes(self._recipe, self._agent)

    def _processes(self, recipe: AgentRecipe, agent: KBQAgent) -> RankProcesses | None:
        processes = self._start(recipe, agent.kb.manifest)
        if processes is not None:
            processes.wait_until_open()
        return processes

    def reload(self) -> bool:
        """Answer from what the index folder holds now; says whether that may be something else.

        What runs ends on the old state; an error leaves it in place. Raises: IndexFolderError and others as
        `KBQAgent.open`; ServingError while another reload runs.
        """
        if not self._lock.acquire(blocking=False):
            raise ServingError(409, "the index is being reloaded already; wait for that")
        try:
            old = self.now
            if self._recipe is None:
                changed = self._agent.kb.reopen()
            else:
                self.now = self._opened(self._recipe)
                changed = True
            self.n_reloads += 1
            if self.now is not old:
                old.retire()
            return changed
        finally:
            self._lock.release()

    def close(self) -> None:
        """Close what was opened by a reload, and end the processes, also those that somebody still uses."""
        self._is_closed = True
        self.now.retire()
        if self.now.processes is not None:
            self.now.processes.close()
            self.now.processes.join(END_SECONDS)

    def _opened(self, recipe: AgentRecipe) -> Fleet:
        base = self.now.base
        agent = recipe.open(base.feedback_store if base.keeps_feedback else None)
        try:
            agent.kb.preload()
        except KBQAError:
            agent.close()
            raise
        fleet = Fleet(agent, self.now.systems)
        fleet.processes = self._processes(recipe, agent)
        return fleet

    def describe(self) -> dict[str, Any]:
        """What is told of the index and the systems."""
        with self.use() as fleet:
            kb = fleet.base.kb.pinned()
            manifest = kb.manifest
        counts = manifest.counts
        return {
            "index": {
                "created": manifest.created,
                "entities": counts.entities,
                "attributes": counts.attributes,
                "triples": counts.triples,
                "updates": len(manifest.updates),
                "missing_shards": list(kb.missing_shards),
            },
            "systems": [
                {"name": s.name, "model": s.generator.name if s.generator else None, "closed_book": s.closed_book}
                for s in fleet.systems.values()
            ],
        }
