"""Held-out questions -> the model of `kbqa_agent.presence`, and what it says of questions that it has not seen.

Each question is asked as it is and without each kind of thing that can be missing (`kbqa_agent.removal`); the one
weighs as much as the others together. The ranker must not have been trained on these questions. What it says is taken
out of fold, all forms of a question in one fold, so that the risk at each confidence can be told.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from kb_index.knowledge_base import KnowledgeBase
from kbqa_agent.candidates import candidates_of
from kbqa_agent.linking import link
from kbqa_agent.presence import SPREAD, HeldOut, PresenceModel, presence_inputs
from kbqa_agent.qa_data import comparable
from kbqa_agent.ranking import TrainedRanker
from kbqa_agent.removal import KINDS, RemovalKind, Without, removal_of
from kbqa_agent.retrieval import retrieve
from kbqa_agent.types import QAExample

if TYPE_CHECKING:
    from lightgbm import Booster

__all__ = ["MIN_QUESTIONS", "fit_presence"]

logger = logging.getLogger(__name__)

MIN_QUESTIONS = 150
"""With fewer held-out questions no model is fitted: it would know less than the ranker's term for "none of these"."""
MAX_QUESTIONS = 1000
FOLDS = 5
TREES = 200
PRESENT, NO_ATTRIBUTE, NO_ENTITY = 0, 1, 2


class _Seen(NamedTuple):
    """One form of a question: its number, inputs and class, the best answer's share, and if that is right."""

    question: int
    inputs: NDArray[np.float32]
    label: int
    answerable: bool
    share: float
    right: bool


def fit_presence(ranker: TrainedRanker, examples: Sequence[QAExample], seed: int = 0) -> PresenceModel | None:
    """Train the model on questions that the ranker has not seen; None where too few have a gold triple in its index."""
    usable = [e for e in examples if removal_of(ranker.kb, e, "attribute")][:MAX_QUESTIONS]
    if len(usable) < MIN_QUESTIONS:
        logger.info("%d held-out questions with a gold triple: too few to learn when to be silent", len(usable))
        return None
    bar = tqdm(usable, desc="silence", unit="question", disable=None)
    seen = [form for number, example in enumerate(bar) for form in _forms(ranker, number, example)]
    names = [*SPREAD, *(f"of_best_{name}" for name in ranker.features)]
    return PresenceModel(_boost(seen, names, seed), _held_out(seen, _out_of_fold(seen, names, seed)))


def _forms(ranker: TrainedRanker, number: int, example: QAExample) -> Iterator[_Seen]:
    answers = set(map(comparable, example.answers))
    kinds: tuple[RemovalKind | None, ...] = (None, *KINDS)
    for kind in kinds:
        removal = removal_of(ranker.kb, example, kind) if kind else None
        if kind and removal is None:
            continue
        kb = Without(ranker.kb, removal) if removal else ranker.kb
        if form := _seen(ranker, kb, number, example.question, kind, answers if kind is None else set()):
            yield form


def _seen(
    ranker: TrainedRanker, kb: KnowledgeBase, number: int, question: str, kind: RemovalKind | None, answers: set[str]
) -> _Seen | None:
    mentions = link(kb, question)
    triples = retrieve(kb, mentions)
    if not triples:
        return None
    rows, scores, shares = ranker.shares(question, mentions, triples)
    first = candidates_of(triples, shares, 1)[0]
    present = any(comparable(t.object) in answers for t in triples)
    absent = NO_ENTITY if kind == "entities" else NO_ATTRIBUTE
    return _Seen(
        question=number,
        inputs=presence_inputs(scores, rows, triples, shares, len(mentions)),
        label=PRESENT if present else absent,
        answerable=kind is None,
        share=first.score,
        right=comparable(first.answer) in answers,
    )


def _boost(seen: Iterable[_Seen], names: Sequence[str], seed: int) -> Booster:
    import lightgbm

    settings = {
        "objective": "multiclass",
        "num_class": 3,
        "num_leaves": 7,
        "learning_rate": 0.05,
        "min_data_in_leaf": 20,
        "feature_fraction": 0.5,
        "lambda_l2": 5.0,
        "seed": seed,
        "deterministic": True,
        "verbosity": -1,
    }
    seen = list(seen)
    others = Counter(s.question for s in seen if not s.answerable)
    rows = ((s.inputs, s.label, others[s.question] if s.answerable else 1) for s in seen)
    inputs, labels, weights = zip(*rows, strict=True)
    data = lightgbm.Dataset(np.array(inputs), np.array(labels), weight=np.array(weights), feature_name=list(names))
    return lightgbm.train(settings, data, TREES)


def _out_of_fold(seen: Sequence[_Seen], names: Sequence[str], seed: int) -> NDArray[np.float64]:
    """How probable it is that the answer is there, for each form, from trees that saw no form of its question."""
    present = np.zeros(len(seen))
    for fold in range(FOLDS):
        booster = _boost((s for s in seen if s.question % FOLDS != fold), names, seed)
        at = [i for i, s in enumerate(seen) if s.question % FOLDS == fold]
        present[at] = np.asarray(booster.predict(np.array([seen[i].inputs for i in at])))[:, PRESENT]
    return present


def _held_out(seen: Sequence[_Seen], present: NDArray[np.float64]) -> HeldOut:
    return HeldOut(
        present=tuple(round(float(p), 6) for p in present),
        best_share=tuple(round(s.share, 6) for s in seen),
        right=tuple(s.right for s in seen),
        answerable=tuple(s.answerable for s in seen),
    )
