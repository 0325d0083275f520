"""Held-out questions, each with a ranker that never saw it -> how sure scores make, and when to be silent."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from finetune.likelihood import Weighed, collect, fit_likelihood_weight
from finetune.presence import Asked, Form, fit_presence, forms_of
from kb_index.knowledge_base import KnowledgeBase
from kbqa_agent.agent import KBQAgent
from kbqa_agent.presence import PresenceModel
from kbqa_agent.ranking import Calibration, TrainedRanker
from kbqa_agent.types import Generator

__all__ = ["calibrated", "fit_calibration", "likelihood_weight"]


def calibrated(
    kb: KnowledgeBase, asked: Sequence[Asked], processes: int, seed: int
) -> tuple[Calibration, PresenceModel | None, float]:
    """Fit calibration and presence on questions and rankers that never saw them; give their MRR too."""
    forms = forms_of(kb, asked, processes)
    whole = [f for f in forms if f.removed is None]
    calibration = fit_calibration([(f.scores, f.right) for f in whole])
    presence = fit_presence(forms, calibration, asked[0][0].presence_names, seed)
    return calibration, presence, sum(map(_reciprocal_rank, whole)) / max(1, sum(bool(e.answers) for _, e in asked))


def _reciprocal_rank(form: Form) -> float:
    """Of the right answer among the distinct answers; 0 without one."""
    answers = dict.fromkeys(form.alike.objects[np.argsort(-form.scores, kind="stable")].tolist())
    gold = set(form.alike.objects[form.right].tolist())
    return next((1 / (n + 1) for n, answer in enumerate(answers) if answer in gold), 0.0)


def likelihood_weight(
    asked: Sequence[Asked], calibration: Calibration, generator: Generator, n_questions: int, seed: int
) -> float:
    """Fit how much a generator's likelihoods count beside calibrated rankers, on so many of the questions, drawn."""
    drawn = [asked[i] for i in np.random.default_rng(seed).permutation(len(asked))[:n_questions]]
    found: list[Weighed] = []
    for ranker in {id(ranker): ranker for ranker, _ in drawn}.values():
        of_ranker = [example for its, example in drawn if its is ranker]
        sure = TrainedRanker(ranker.kb, ranker.booster, ranker.wordings, calibration)
        found += collect(KBQAgent(ranker.kb, sure, generator), of_ranker)
    return fit_likelihood_weight(found)


def fit_calibration(scored: Sequence[tuple[NDArray[np.float32], NDArray[np.bool_]]]) -> Calibration:
    """Find the temperature and the "none" term that make right answers likeliest, from held-out (scores, is right)."""
    from scipy.optimize import minimize

    def loss(parameters: NDArray[np.float64]) -> float:
        calibration = Calibration(float(np.exp(parameters[0])), float(parameters[1]))
        total = 0.0
        for scores, right in scored:
            shares = calibration.probabilities(scores)
            total -= np.log(max(1e-9, float(shares[right].sum() if right.any() else 1.0 - shares.sum())))
        return total / max(1, len(scored))

    simplex = [[0.0, 0.0], [0.5, 0.0], [0.0, 2.0]]
    options = {"initial_simplex": simplex, "xatol": 0.01, "fatol": 1e-5, "maxiter": 100}
    best = minimize(loss, x0=np.zeros(2), method="Nelder-Mead", options=options)
    return Calibration(float(np.exp(best.x[0])), float(best.x[1]))
