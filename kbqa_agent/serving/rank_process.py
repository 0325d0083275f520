"""The other end of `rank_processes`: a process that has index, ranker and feedback open for itself, and ranks.

It is started as a program, so that nothing of the server's threads is copied and its main module is not run again.
"""

from __future__ import annotations

import atexit
import gc
import sys
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from kb_index.errors import IndexFolderError, KBQAError
from kb_index.manifest import Manifest
from kbqa_agent.agent import KBQAgent
from kbqa_agent.config import AgentConfig
from kbqa_agent.dialogue import Dialogue
from kbqa_agent.feedback import FeedbackStore
from kbqa_agent.serving.child import outlive_signals
from kbqa_agent.serving.ranking_alone import Alone, Way, rank_together
from kbqa_agent.types import Turn

__all__ = ["AgentRecipe", "Task", "serve_ranks"]


@dataclass(frozen=True, slots=True)
class AgentRecipe:
    """How an agent without a generator is opened, here or in another process."""

    index: Path
    config: AgentConfig
    feedback: Path | None = None
    ranker: str | Path | None = None

    def open(self, feedback: FeedbackStore | None = None) -> KBQAgent:
        """Open it; `feedback` is a store that is open already. Raises: as `KBQAgent.open`."""
        config = replace(self.config, closed_book=False)
        return KBQAgent.open(self.index, "none", None, config, feedback or self.feedback, self.ranker)


class Task(NamedTuple):
    """A question that was read, the turns before it (None: no dialogue), and how it is answered."""

    question: str
    turns: tuple[Turn, ...] | None
    way: Way
    with_shortlist: bool


def serve_ranks(connection: Connection) -> None:
    """Rank what comes until the other end is closed; what cannot be opened is told once."""
    outlive_signals()
    recipe, manifest = connection.recv()
    try:
        agent = _opened(recipe, manifest)
    except KBQAError as error:
        connection.send(str(error))
        return
    gc.freeze()  # garbage collections would go through all of it again and again
    atexit.register(gc.unfreeze)  # what is held at the end is freed in order only if it can be collected
    connection.send(None)
    while True:
        tasks: list[Task] = connection.recv()
        connection.send(_ranked(agent, tasks))


def _opened(recipe: AgentRecipe, manifest: Manifest) -> KBQAgent:
    agent = recipe.open()
    if agent.kb.manifest != manifest:
        raise IndexFolderError(f"index '{recipe.index}': was changed since the server opened it; reload")
    agent.kb.preload()
    return agent


def _ranked(agent: KBQAgent, tasks: list[Task]) -> list[Alone | None]:
    """What needs no generator; None of what failed, which the server does again itself, and tells of."""
    asked = [
        (task.question, None if task.turns is None else Dialogue(task.turns), task.way, task.with_shortlist)
        for task in tasks
    ]
    return [None if isinstance(found, Exception) else _light(found) for found in rank_together(agent, asked)]


def _light(found: Alone) -> Alone:
    """Without all that was ranked, which would take longer to send than to do again."""
    return found._replace(resolved=found.resolved._replace(ranked=None))


if __name__ == "__main__":
    try:
        serve_ranks(Connection(int(sys.argv[1])))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        sys.exit(0)
