"""The settings of an agent, in one frozen value whose ranges are checked when it is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf
from typing import Literal

from kb_index.errors import InputError

__all__ = ["AgentConfig", "Decoding", "GeneratorUse"]

GeneratorUse = Literal["always", "unsure", "never"]
Decoding = Literal["free", "constrained"]


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """How `ask` works; counts are numbers of items, thresholds are probabilities."""

    generator: GeneratorUse = "unsure"
    closed_book: bool = False
    """Let the generator answer from its own memory, without any triples."""
    free_text: bool = False
    """Let the generator write the answer itself; one that is no candidate is marked as unsupported."""
    decoding: Decoding = "free"
    """With `free_text`: "constrained" lets the generator write nothing else than a candidate, or that it is unknown."""
    max_candidates: int = 20
    scored_candidates: int = 8
    prompt_triples: int = 10
    sure_above: float = 0.9
    """With `generator="unsure"`, a first candidate at least this probable is not put to the generator."""
    min_confidence: float = 0.15
    """Below this the agent abstains; infinite: always."""
    answerable_share: float = 0.9
    """Which share of the questions to come is thought to have its answer in the knowledge base: an agent that is opened
    with it says its confidences for that share. At 1 nothing is withheld for want of an answer."""
    max_risk: float | None = None
    """The share of wrong answers that is tolerated: an agent that is opened with it abstains below the confidence at
    which, of held-out questions, this share was answered wrongly. None: `min_confidence` alone counts."""
    ask_back_below: float = 0.6
    """In a dialogue, an answer that has less than this share of what several entities of its name have together is not
    given: the agent asks which of them is meant. 0: it never asks back where one is likelier than `min_confidence`."""
    max_question_chars: int = 2000
    partial: bool = False
    """Open an index in shards though some of them are missing, and mark the answers; else that is an error."""

    def __post_init__(self) -> None:
        if self.generator not in ("always", "unsure", "never"):
            raise InputError(f"generator={self.generator!r}: expected 'always', 'unsure' or 'never'")
        if self.decoding not in ("free", "constrained"):
            raise InputError(f"decoding={self.decoding!r}: expected 'free' or 'constrained'")
        if self.decoding == "constrained" and (self.closed_book or not self.free_text):
            raise InputError(
                "decoding='constrained': is for text that the generator writes from triples; "
                "add free_text (--free-text), without closed_book (--closed-book)"
            )
        for name in ("max_candidates", "scored_candidates", "prompt_triples", "max_question_chars"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}={getattr(self, name)}: expected at least 1")
        for name in ("sure_above", "min_confidence", "ask_back_below"):
            if not (0.0 <= getattr(self, name) <= 1.0 or getattr(self, name) == inf):
                raise InputError(f"{name}={getattr(self, name)}: expected a probability from 0 to 1")
        if not 0.0 < self.answerable_share <= 1.0:
            raise InputError(
                f"answerable_share={self.answerable_share}: expected a share over 0 and up to 1, such as 0.9"
            )
        if self.max_risk is not None and not 0.0 < self.max_risk <= 1.0:
            raise InputError(f"max_risk={self.max_risk}: expected a share over 0 and up to 1, such as 0.05")

    def for_risk(self, threshold: Callable[[float], float]) -> AgentConfig:
        """Raise `min_confidence` to what `max_risk` asks for; `threshold` gives the confidence for a share.

        >>> AgentConfig(max_risk=0.05).for_risk(lambda share: 1 - share).min_confidence
        0.95
        """
        if self.max_risk is None:
            return self
        return replace(self, min_confidence=max(self.min_confidence, threshold(self.max_risk)))
