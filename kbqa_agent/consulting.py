"""What a generator says: likelihoods that weigh a question's candidates, or an answer in its own words."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np
from numpy.typing import NDArray

from kb_index.errors import NoLikelihoodError
from kbqa_agent.config import AgentConfig
from kbqa_agent.prompts import UNKNOWN, answer_text, closed_book_prompt
from kbqa_agent.ranking import weigh
from kbqa_agent.types import Candidate, ConcurrentGenerator, Generator

__all__ = ["Consulting", "is_consulted"]

logger = logging.getLogger(__name__)


def is_consulted(candidates: Sequence[Candidate], config: AgentConfig) -> bool:
    """Whether the generator is asked about these candidates, of which there is one at least."""
    if config.generator == "unsure":
        # It moves probability among the candidates alone, so what none of them has makes nothing unsure.
        sure = config.sure_above * sum(c.score for c in candidates)
        return candidates[0].score < sure or config.free_text
    return config.generator == "always"


class Consulting:
    """Puts prompts to generators, one at a time where several threads may not ask at once."""

    def __init__(self) -> None:
        self._told_once = threading.Event()
        self._one_at_a_time = threading.Lock()

    def judged(
        self, generator: Generator, prompt: str, candidates: Sequence[Candidate], config: AgentConfig, weight: float
    ) -> list[Candidate]:
        """Weigh the first candidates with their likelihoods to the power `weight`, and order them anew.

        A generator that tells none leaves them to the ranker.
        """
        head, rest = candidates[: config.scored_candidates], candidates[config.scored_candidates :]
        try:
            found = self.likelihoods(generator, prompt, head)
        except NoLikelihoodError as error:
            logger.log(logging.INFO if self._told_once.is_set() else logging.WARNING, "%s", error)
            self._told_once.set()
            return list(candidates)
        shares = weigh(np.array([c.score for c in head]), found, weight)
        weighed = [Candidate(c.answer, float(p), c.evidence) for c, p in zip(head, shares, strict=True)]
        return sorted([*weighed, *rest], key=lambda c: -c.score)

    def likelihoods(self, generator: Generator, prompt: str, candidates: Sequence[Candidate]) -> NDArray[np.float64]:
        """The log-likelihood of each candidate per character and end, (n_candidates,).

        A sum would prefer short answers: docs/experiments.md has both.

        Raises: NoLikelihoodError when the generator tells none; ModelError when it cannot be asked.
        """
        texts = [answer_text(c.answer) for c in candidates]
        with self._turn(generator):
            sums = generator.score(prompt, texts)
        return sums / np.array([len(text) + 1 for text in texts], np.float64)

    def written(self, generator: Generator, prompt: str, candidates: Sequence[Candidate], config: AgentConfig) -> str:
        """What the generator writes; with constrained decoding, a candidate as it is in the prompt, or UNKNOWN."""
        texts = dict.fromkeys(answer_text(c.answer) for c in candidates)
        with self._turn(generator):
            if config.decoding == "free":
                return generator.generate([prompt])[0]
            return generator.generate([prompt], among=[[*texts, UNKNOWN]])[0]

    def closed_book(self, generator: Generator, question: str) -> str:
        """What the generator writes when it sees no triples."""
        with self._turn(generator):
            return generator.generate([closed_book_prompt(question)])[0]

    def _turn(self, generator: Generator) -> AbstractContextManager[object]:
        """Wait, in a `with`, for the turn at a generator that several threads may not ask at once."""
        return nullcontext() if isinstance(generator, ConcurrentGenerator) else self._one_at_a_time
