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
from kbqa_agent.features import MadeRows
from kbqa_agent.linking import link
from kbqa_agent.parallel import batches, over_batches, threads_for
from kbqa_agent.presence import Alike, HeldOut, PresenceModel, presence_inputs
from kbqa_agent.qa_data import comparable
from kbqa_agent.ranking import Calibration, TrainedRanker
from kbqa_agent.removal import KINDS, RemovalKind, Without, removal_of, without
from kbqa_agent.retrieval import retrieve
from kbqa_agent.types import QAExample
from kbqa_agent.wordings import Wordings

if TYPE_CHECKING:
    from lightgbm import Booster

__all__ = ["MIN_QUESTIONS", "Asked", "Form", "fit_presence", "forms_of"]

logger = logging.getLogger(__name__)

MIN_QUESTIONS = 150
"""With fewer held-out questions no model is fitted: it would know less than the ranker's term for "none of these"."""
FOLDS = 5
TREES = 200
PRESENT, NO_ATTRIBUTE, NO_ENTITY = 0, 1, 2


Asked = tuple[TrainedRanker, QAExample]
"""A question, and the ranker that is asked about it."""


class Form(NamedTuple):
    """A question as it is, or without what a kind of removal hides, and what a ranker that never saw it says of it.

    `scores` and `right` are (n_triples,); `of_best` as `TrainedRanker.score` gives it.
    """

    question: int
    removed: RemovalKind | None
    alike: Alike
    n_mentions: int
    scores: NDArray[np.float32]
    of_best: NDArray[np.float32]
    right: NDArray[np.bool_]


class _Seen(NamedTuple):
    """One form of a question: its number, inputs and class, the best answer's share, and if that is right."""

    question: int
    inputs: NDArray[np.float32]
    label: int
    answerable: bool
    share: float
    right: bool


def forms_of(kb: KnowledgeBase, asked: Sequence[Asked], processes: int = 1) -> list[Form]:
    """Ask a ranker about each question as it is and, where a gold triple is there, without what can be missing.

    The questions are in the order of their file. The question as it is comes first; forms for which nothing is
    retrieved are left out.
    """
    by_ranker: dict[int, tuple[TrainedRanker, list[int]]] = {}
    for number, (ranker, _) in enumerate(asked):
        by_ranker.setdefault(id(ranker), (ranker, []))[1].append(number)
    tasks = (
        (ranker.booster, ranker.wordings, [(i, asked[i][1]) for i in batch])
        for ranker, numbers in by_ranker.values()
        for batch in batches(numbers)
    )
    found: list[Form] = []
    with tqdm(total=len(asked), desc="held out", unit="question", disable=None) as bar:
        for forms in over_batches(kb, _forms_of, tasks, processes):
            found += forms
            bar.update()
    return sorted(found, key=lambda form: form.question)


def _forms_of(
    kb: KnowledgeBase, booster: Booster, wordings: Wordings, numbered: Sequence[tuple[int, QAExample]]
) -> list[list[Form]]:
    ranker = TrainedRanker(kb, booster, wordings, Calibration())
    return [list(_forms(ranker, number, example)) for number, example in numbered]


def _forms(ranker: TrainedRanker, number: int, example: QAExample) -> Iterator[Form]:
    answers = set(map(comparable, example.answers))
    kinds: tuple[RemovalKind | None, ...] = (None, *KINDS)
    linked = link(ranker.kb, example.question)
    retrieved = retrieve(ranker.kb, linked)
    made: MadeRows = {}
    for kind in kinds:
        removal = removal_of(ranker.kb, example, kind) if kind else None
        if kind and removal is None:
            continue
        if removal is None:
            mentions, triples = linked, retrieved
        elif removal.entities:  # a name that is gone is looked for in other spellings
            mentions = link(Without(ranker.kb, removal), example.question)
            triples = retrieve(ranker.kb, mentions)
        else:
            mentions, triples = without(linked, retrieved, removal)
        if triples:
            scores, of_best = ranker.score(example.question, mentions, triples, made)
            right = np.array([kind is None and comparable(t.object) in answers for t in triples])
            yield Form(number, kind, Alike.of(triples), len(mentions), scores, of_best, right)


def fit_presence(
    forms: Sequence[Form], calibration: Calibration, names: Sequence[str], seed: int = 0
) -> PresenceModel | None:
    """Train the model on held-out questions of which one form or more hides the answer; None where they are too few.

    `names` are those of its inputs.
    """
    removable = {f.question for f in forms if f.removed}
    if len(removable) < MIN_QUESTIONS:
        logger.info("%d held-out questions with a gold triple: too few to learn when to be silent", len(removable))
        return None
    seen = [_seen(f, calibration) for f in forms if f.question in removable]
    return PresenceModel(_boost(seen, names, seed), _held_out(seen, _out_of_fold(seen, names, seed)))


def _seen(form: Form, calibration: Calibration) -> _Seen:
    shares = calibration.shares(form.scores)
    by_object = form.alike.by_object(shares)
    first = int(np.argmax(by_object))
    absent = NO_ENTITY if form.removed == "entities" else NO_ATTRIBUTE
    return _Seen(
        question=form.question,
        inputs=presence_inputs(form.scores, form.of_best, form.alike, shares, form.n_mentions),
        label=PRESENT if form.right.any() else absent,
        answerable=form.removed is None,
        share=float(by_object[first]),
        right=bool(form.right[form.alike.objects == first].any()),
    )


def _boost(seen: Iterable[_Seen], names: Sequence[str], seed: int) -> Booster:
    import lightgbm

    seen = list(seen)
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
        "num_threads": threads_for(len(seen)),
        "verbosity": -1,
    }
    others = Counter(s.question for s in seen if not s.answerable)
    rows = ((s.inputs, s.label, others[s.question] if s.answerable else 1) for s in seen)
    inputs, labels, weights = zip(*rows, strict=True)
    data = lightgbm.Dataset(np.array(inputs), np.array(labels), weight=np.array(weights), feature_name=list(names))
    return lightgbm.train(settings, data, TREES)


def _out_of_fold(seen: Sequence[_Seen], names: Sequence[str], seed: int) -> NDArray[np.float64]:
    """How probable it is that the answer is there, for each form, from trees that saw no form of its question."""
    present = np.zeros(len(seen))
    numbers = np.array([s.question for s in seen])
    fold_of = numbers * FOLDS // (numbers.max() + 1)  # neighbours are alike, so that a fold is one stretch
    for fold in range(FOLDS):
        booster = _boost((s for s, its in zip(seen, fold_of, strict=True) if its != fold), names, seed)
        at = np.flatnonzero(fold_of == fold)
        present[at] = np.asarray(booster.predict(np.array([seen[i].inputs for i in at.tolist()])))[:, PRESENT]
    return present


def _held_out(seen: Sequence[_Seen], present: NDArray[np.float64]) -> HeldOut:
    return HeldOut(
        present=tuple(round(float(p), 6) for p in present),
        best_share=tuple(round(s.share, 6) for s in seen),
        right=tuple(s.right for s in seen),
        answerable=tuple(s.answerable for s in seen),
    )
