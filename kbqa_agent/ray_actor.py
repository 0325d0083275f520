"""What runs in one of Ray's actors: an agent of its own. And what tells two of them, or their generators, apart."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, NamedTuple, NoReturn

from kb_index.errors import ModelError
from kb_index.manifest import Manifest
from kbqa_agent.agent import KBQAgent
from kbqa_agent.recipe import AgentRecipe
from kbqa_agent.types import Answer

__all__ = ["AskedActor", "ElsewhereGenerator", "Identity"]


class Identity(NamedTuple):
    """What decides an agent's answers, beside its recipe and the state of the index."""

    kbqa: str
    ranker: str
    generator: str | None
    adapter: str | None
    weights: str | None
    missing_shards: tuple[str, ...] = ()

    @classmethod
    def of(cls, agent: KBQAgent) -> Identity:
        """Look at an agent; a ranker or a generator that does not tell what it is counts by its name."""
        source, generator = getattr(agent.ranker, "source", None), agent.generator
        adapter, weights = getattr(generator, "adapter", None), getattr(generator, "fingerprint", None)
        return cls(
            version("kbqa"),
            source.sha256 if source else type(agent.ranker).__name__,
            generator.name if generator else None,
            str(adapter) if adapter else None,
            weights() if weights else None,
            tuple(agent.kb.missing_shards),
        )


class AskedActor:
    """An agent that is opened by a call, since what a constructor raises would not arrive as itself."""

    def __init__(self, recipe: AgentRecipe, manifest: Manifest) -> None:
        self._recipe, self._manifest = recipe, manifest

    def open(self) -> Identity:
        """Open the agent over the state of the index that the caller has. Raises: as `AgentRecipe.open_for_life`."""
        self._agent = self._recipe.open_for_life(self._manifest)
        return Identity.of(self._agent)

    def answers(self, questions: Sequence[str]) -> list[Answer]:
        """Answer some questions."""
        return list(self._agent.ask_many(questions, processes=1))


class ElsewhereGenerator:
    """Stands for the generator that all actors have: it has its name, and cannot be asked here."""

    def __init__(self, identity: Identity) -> None:
        self.name, self.adapter, self._weights = identity.generator or "", identity.adapter, identity.weights or ""

    def fingerprint(self) -> str:
        """That of the generator itself."""
        return self._weights

    def score(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse. Raises: ModelError."""
        raise ModelError(f"model {self.name!r}: is in Ray's workers, which ask_many alone asks; use --engine local")

    generate = score
