"""The application that a recipe and settings describe; all that it needs is opened, and closed again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from fastapi import FastAPI

from kbqa_agent.agent import KBQAgent
from kbqa_agent.feedback import FeedbackStore
from kbqa_agent.gguf_cache import embedded_is_installed
from kbqa_agent.recipe import AgentRecipe
from kbqa_agent.serving.app import create_app
from kbqa_agent.serving.peers import Peers
from kbqa_agent.serving.settings import ServeSettings
from kbqa_agent.serving.system_specs import generator_for, systems_from
from kbqa_agent.types import Generator

__all__ = ["open_app"]


@contextmanager
def open_app(
    recipe: AgentRecipe, settings: ServeSettings, systems: Sequence[str] = (), peers: Peers | None = None
) -> Iterator[FastAPI]:
    """Open the application until the end of a block; `systems` are as on the command line, and answer in its place.

    Raises: as `KBQAgent.open`; InputError, StorageError.
    """
    with ExitStack() as opened:
        people = opened.enter_context(FeedbackStore(recipe.feedback)) if recipe.feedback else None
        generator = None if systems else _generator(recipe)
        if generator is not None:
            opened.callback(getattr(generator, "close", bool))
        model, adapter = (generator, None) if generator else ("none" if systems else recipe.model, recipe.adapter)
        agent = KBQAgent.open(recipe.index, model, adapter, recipe.config, people, recipe.ranker)
        opened.enter_context(agent)
        again = replace(recipe.without_model(), config=agent.config)
        yield create_app(agent, settings, systems_from(systems) if systems else None, again, peers)


def _generator(recipe: AgentRecipe) -> Generator | None:
    """The generator that is asked for, in a process of its own if it is one of this machine."""
    is_used = recipe.config.closed_book or recipe.config.generator != "never"
    if recipe.model == "none" or not is_used or (recipe.model is None and not embedded_is_installed()):
        return None
    return generator_for(recipe.model, recipe.adapter)
