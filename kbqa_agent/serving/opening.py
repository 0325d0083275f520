"""The application that a recipe and settings describe; all that it needs is opened, and closed again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from fastapi import FastAPI

from kb_index.manifest import read_manifest
from kb_index.swap import find_index
from kbqa_agent.agent import KBQAgent
from kbqa_agent.feedback import FeedbackStore
from kbqa_agent.gguf_cache import embedded_is_installed
from kbqa_agent.recipe import AgentRecipe
from kbqa_agent.serving.app import create_app
from kbqa_agent.serving.peers import Peers
from kbqa_agent.serving.settings import ServeSettings
from kbqa_agent.serving.system_specs import generator_for, systems_from

__all__ = ["open_app"]


@contextmanager
def open_app(
    recipe: AgentRecipe,
    settings: ServeSettings,
    systems: Sequence[str] = (),
    peers: Peers | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Iterator[FastAPI]:
    """Open the application until the end of a block; `systems` are as on the command line, and answer in its place.

    `tell` is told what takes long.

    Raises: as `KBQAgent.open`; InputError, StorageError.
    """
    read_manifest(find_index(recipe.index))  # a file of feedback is made for an index alone
    with ExitStack() as opened:
        people = opened.enter_context(FeedbackStore(recipe.feedback)) if recipe.feedback else None
        is_used = not systems and _is_used(recipe)
        if systems or is_used:
            tell("loading the systems" if systems else "loading the generator")
        named = systems_from(systems, settings.request_seconds) if systems else {}
        generator = generator_for(recipe.model, recipe.adapter, settings.request_seconds) if is_used else None
        for own in (generator, *(system.generator for system in named.values())):
            opened.callback(getattr(own, "close", bool))
        model, adapter = (generator, None) if generator else ("none" if systems else recipe.model, recipe.adapter)
        agent = KBQAgent.open(recipe.index, model, adapter, recipe.config, people, recipe.ranker)
        opened.enter_context(agent)
        again = replace(recipe.without_model(), config=agent.config)
        yield create_app(agent, settings, named or None, again, peers)


def _is_used(recipe: AgentRecipe) -> bool:
    """Whether the generator that is asked for is to answer, and can."""
    is_asked = recipe.config.closed_book or recipe.config.generator != "never"
    return recipe.model != "none" and is_asked and (recipe.model is not None or embedded_is_installed())
