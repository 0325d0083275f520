"""The settings of an agent, in one frozen value whose ranges are checked when it is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kb_index.errors import InputError

__all__ = ["AgentConfig", "GeneratorUse"]

GeneratorUse = Literal["always", "unsure", "never"]


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """How `ask` works; counts are numbers of items, thresholds are probabilities."""

    generator: GeneratorUse = "unsure"
    closed_book: bool = False
    """Let the generator answer from its own memory, without any triples."""
    free_text: bool = False
    """Let the generator write the answer itself; one that is no candidate is marked as unsupported."""
    max_candidates: int = 20
    scored_candidates: int = 8
    prompt_triples: int = 10
    sure_above: float = 0.9
    """With `generator="unsure"`, a first candidate at least this probable is not put to the generator."""
    min_confidence: float = 0.1
    """Below this the agent abstains."""
    max_question_chars: int = 2000

    def __post_init__(self) -> None:
        if self.generator not in ("always", "unsure", "never"):
            raise InputError(f"generator={self.generator!r}: expected 'always', 'unsure' or 'never'")
        for name in ("max_candidates", "scored_candidates", "prompt_triples", "max_question_chars"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}={getattr(self, name)}: expected at least 1")
        for name in ("sure_above", "min_confidence"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise InputError(f"{name}={getattr(self, name)}: expected a probability from 0 to 1")
