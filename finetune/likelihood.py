"""How much a generator's likelihood of an answer should count beside the ranker's probability."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from kbqa_agent.agent import KBQAgent
from kbqa_agent.qa_data import comparable
from kbqa_agent.ranking import weigh
from kbqa_agent.types import QAExample

__all__ = ["Weighed", "collect", "fit_likelihood_weight"]

MAX_WEIGHT = 10.0


class Weighed(NamedTuple):
    """The first candidates of one question: probabilities, log-likelihoods, and which are right, each (n,)."""

    probabilities: NDArray[np.float64]
    log_likelihoods: NDArray[np.float64]
    right: NDArray[np.bool_]


def collect(agent: KBQAgent, examples: Sequence[QAExample]) -> list[Weighed]:
    """Ask the generator about the candidates of each question; questions whose gold is not among them are left out."""
    found = []
    for example in tqdm(examples, "likelihoods", unit="question", disable=None):
        candidates, log_likelihoods = agent.likelihoods(example.question)
        gold = {comparable(a) for a in example.answers}
        right = np.array([comparable(c.answer) in gold for c in candidates], dtype=bool)
        if right.any():
            found.append(Weighed(np.array([c.score for c in candidates]), log_likelihoods, right))
    return found


def fit_likelihood_weight(found: Iterable[Weighed]) -> float:
    """Find the exponent of the likelihood, from 0 to 10, that makes the right candidates likeliest."""
    from scipy.optimize import minimize_scalar

    rows = list(found)

    def loss(weight: float) -> float:
        shares = ((weigh(f.probabilities, f.log_likelihoods, weight), f.right) for f in rows)
        return -float(sum(np.log(max(1e-9, s[right].sum() / s.sum())) for s, right in shares))

    return float(minimize_scalar(loss, bounds=(0.0, MAX_WEIGHT), method="bounded").x) if rows else 0.0
