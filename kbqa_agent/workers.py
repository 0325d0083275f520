"""Answers from several processes, each of which has the index and the ranker open for itself.

They have no generator: a question that needs one comes back without an answer, to be asked by who has it. Linking,
retrieval and ranking take a small part of the time that a generator does.
"""

from __future__ import annotations

import atexit
import gc
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from kb_index.errors import ModelError
from kb_index.knowledge_base import KnowledgeBase
from kbqa_agent.config import AgentConfig
from kbqa_agent.parallel import batches, over_batches
from kbqa_agent.ranked import Ranked
from kbqa_agent.ranking import RankerSource, TrainedRanker, load_ranker
from kbqa_agent.types import Answer

if TYPE_CHECKING:
    from kbqa_agent.agent import KBQAgent

__all__ = ["RankingRecipe", "answers_elsewhere", "recipe_of"]

WAVE = 2000
"""Answers wait in memory until they are asked for: so many questions are given out at a time."""


class RankingRecipe(NamedTuple):
    """What another process needs to answer as an agent does, beside the index."""

    ranker: RankerSource
    expected_share: float | None
    config: AgentConfig
    likelihood_weight: float
    has_generator: bool


def recipe_of(agent: KBQAgent) -> RankingRecipe | None:
    """How another process answers as this agent; None where it cannot, or where the generator has to do every question.

    It can with an index and a ranker that are opened from folders, as they are there, and where no feedback counts. An
    index whose shards Ray's actors ask may fit no machine: its processes would open all of them on this one.
    """
    ranker, config = agent.ranker, agent.config
    if agent.keeps_feedback:
        return None
    has_generator = agent.generator is not None and config.generator != "never"
    if has_generator and (config.generator == "always" or config.free_text):
        return None
    if config.closed_book or type(agent.kb) is not KnowledgeBase or agent.kb.opening.engine != "local":
        return None
    if not isinstance(ranker, TrainedRanker) or ranker.source is None:
        return None
    return RankingRecipe(ranker.source, ranker.expected_share, config, agent.likelihood_weight, has_generator)


def answers_elsewhere(
    kb: KnowledgeBase, recipe: RankingRecipe, questions: Sequence[str], processes: int
) -> Iterator[Answer | None]:
    """Answer the questions, in their order; None for those that need the generator.

    Raises: IndexFolderError, ModelError when index or ranker were changed since they were opened; WorkerError when a
    process was ended.
    """
    for start in range(0, len(questions), WAVE):
        tasks = ((recipe, batch) for batch in batches(questions[start : start + WAVE], processes))
        yield from over_batches(kb, _answers, tasks, processes)


def _answers(kb: KnowledgeBase, recipe: RankingRecipe, questions: Sequence[str]) -> list[Answer | None]:
    agent = _agent(kb, recipe)
    return [_decided(agent, *of) for of in zip(questions, agent.rank_many(questions), strict=True)]


def _decided(agent: KBQAgent, question: str, ranked: Ranked) -> Answer | None:
    try:
        return agent.decide(question, ranked)
    except _GeneratorWantedError:
        return None


@lru_cache(maxsize=1)
def _agent(kb: KnowledgeBase, recipe: RankingRecipe) -> KBQAgent:
    from kbqa_agent.agent import KBQAgent

    ranker = load_ranker(kb, recipe.ranker.folder)
    if ranker.source != recipe.ranker:
        raise ModelError(f"ranker {recipe.ranker.folder}: was changed since it was opened; open the index again")
    if recipe.expected_share is not None:
        ranker = ranker.expecting(recipe.expected_share)
    generator = _NoGenerator() if recipe.has_generator else None
    agent = KBQAgent(kb, ranker, generator, recipe.config, recipe.likelihood_weight)
    gc.freeze()  # garbage collections would go through all of it again and again
    atexit.register(
        gc.unfreeze
    )  # what the process still holds at its end is freed in order only if it can be collected
    return agent


class _GeneratorWantedError(Exception):
    """The generator is asked for, and it is in another process."""


class _NoGenerator:
    """Stands where a generator would be asked."""

    name = "none"

    def score(self, prompt: str, answers: Sequence[str]) -> NoReturn:  # noqa: ARG002 - the protocol's
        raise _GeneratorWantedError

    def generate(
        self,
        prompts: Sequence[str],  # noqa: ARG002 - the protocol's
        max_new_tokens: int = 48,  # noqa: ARG002
        *,
        among: Sequence[Sequence[str]] | None = None,  # noqa: ARG002
    ) -> NoReturn:
        raise _GeneratorWantedError
