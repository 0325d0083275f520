"""Opening the agent that the command line's options describe."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kbqa_agent.agent import KBQAgent
    from kbqa_agent.config import AgentConfig
    from kbqa_agent.feedback import FeedbackStore
    from kbqa_agent.recipe import AgentRecipe
    from kbqa_agent.types import Generator

__all__ = ["agents_of", "check_index", "check_options", "open_agent", "recipe_of", "settled"]


def open_agent(
    index: Path,
    model: str | Generator | None,
    adapter: str | None,
    feedback: FeedbackStore | Path | None = None,
    **options: Any,
) -> KBQAgent:
    """Open an index with a model, an adapter and feedback (a file or a store).

    `options` are those of `generator_options`, and of `engine_options` where Ray is to ask the shards of the index.

    Raises: as `KBQAgent.open` and `KnowledgeBase.open`.
    """
    from kb_index.knowledge_base import KnowledgeBase
    from kbqa_agent.agent import KBQAgent

    ranker, engine, address = (options.pop(name, None) for name in ("ranker", "engine", "ray_address"))
    config, opened = _config(**options), None
    if engine == "ray":
        opened = KnowledgeBase.open(index, partial=config.partial, engine="ray", ray_address=address)
    return KBQAgent.open(opened or index, model=model, adapter=adapter, config=config, feedback=feedback, ranker=ranker)


@contextmanager
def agents_of(
    index: Path, engine: str, ray_address: str | None, workers: int | None, gpus_per_worker: float
) -> Iterator[Callable[..., AbstractContextManager[KBQAgent]]]:
    """Lend what opens agents for many questions, with the options of `open_agent`, on the engine of `engine_options`.

    Raises: as `check_index` and `ray_session`; what it lends, as `open_agent` and `open_over_ray`.
    """
    if engine == "local":
        yield partial(_settled_agent, index)
        return
    from kb_index.ray_session import ray_session

    check_index(index)
    with ray_session(ray_address):
        yield partial(_agent_over_ray, index, workers, gpus_per_worker)


@contextmanager
def _settled_agent(index: Path, **opening: Any) -> Iterator[KBQAgent]:
    with open_agent(index, **opening) as agent, settled(agent):
        yield agent


@contextmanager
def _agent_over_ray(index: Path, workers: int | None, gpus_per_worker: float, **opening: Any) -> Iterator[KBQAgent]:
    from kbqa_agent.ray_workers import open_over_ray

    with open_over_ray(recipe_of(index, **opening), workers, gpus_per_worker) as agent, settled(agent):
        yield agent


def recipe_of(index: Path, **opening: Any) -> AgentRecipe:
    """What opens an agent elsewhere; options are those of `open_agent`, feedback is a file. Raises: InputError."""
    from kbqa_agent.recipe import AgentRecipe

    places = {name: opening.pop(name, None) for name in ("feedback", "ranker", "model", "adapter")}
    return AgentRecipe(index, _config(**opening), **places)


def check_index(index: Path) -> None:
    """Find out whether an index is there, before Ray is started, which takes seconds. Raises: IndexFolderError."""
    from kb_index.manifest import read_manifest
    from kb_index.swap import find_index

    read_manifest(find_index(index))


def check_options(options: Mapping[str, Any], where: str) -> None:
    """Make sure that options of `generator_options` go together. Raises: InputError, which begins with `where`."""
    from kb_index.errors import InputError

    places = ("model", "adapter", "feedback", "ranker")
    try:
        _config(**{name: value for name, value in options.items() if name not in places})
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def _config(closed_book: bool, answerable: float | None = None, **options: Any) -> AgentConfig:
    from kbqa_agent.config import AgentConfig

    if closed_book:
        options["generator"] = "always"
    if answerable is not None:
        options["answerable_share"] = answerable
    return AgentConfig(closed_book=closed_book, **options)


@contextmanager
def settled(agent: KBQAgent) -> Iterator[None]:
    """Load first what a later question would wait for, and keep all that is loaded out of garbage collections.

    Python would go through it again and again, tens of milliseconds each. Only a program may decide that, no library.
    """
    agent.kb.preload()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()  # what the process still holds at its end is freed in order only if it can be collected
