"""The other end of `rank_processes`: a process that has index, ranker and feedback open for itself, and ranks.

It is started as a program, so that nothing of the server's threads is copied and its main module is not run again.
"""

from __future__ import annotations

import sys
from multiprocessing.connection import Connection
from typing import NamedTuple

from kb_index.errors import KBQAError
from kbqa_agent.agent import KBQAgent
from kbqa_agent.dialogue import Dialogue
from kbqa_agent.recipe import AgentRecipe
from kbqa_agent.serving.child import outlive_signals
from kbqa_agent.serving.ranking_alone import Alone, Way, rank_together
from kbqa_agent.types import Turn

__all__ = ["Task", "serve_ranks"]


class Task(NamedTuple):
    """A question that was read, the turns before it (None: no dialogue), and how it is answered."""

    question: str
    turns: tuple[Turn, ...] | None
    way: Way
    with_shortlist: bool


def serve_ranks(connection: Connection) -> None:
    """Rank what comes until the other end is closed; what cannot be opened is told once."""
    outlive_signals()
    recipe: AgentRecipe
    recipe, manifest = connection.recv()
    try:
        agent = recipe.open_for_life(manifest)
    except KBQAError as error:
        connection.send(str(error))
        return
    connection.send(None)
    while True:
        tasks: list[Task] = connection.recv()
        connection.send(_ranked(agent, tasks))


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
