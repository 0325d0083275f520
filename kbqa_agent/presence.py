"""Whether the knowledge base holds what a question asks for at all, told from the ranker's scores.

The ranker orders the triples of one question, and its scores do not say whether the best of them is any good. A small
second model does: it sees the best triple's features and how the scores are spread, and gives the probabilities that
the answer is among the triples, that the entity is there and lacks the attribute, and that the entity is not there.

`finetune.presence` trains it on held-out questions of which half had their answer taken away, so what the trees say
holds for questions of which half can be answered. The user says which share is expected, and the probabilities are
said for that (`kbqa_agent.prior_shift`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kb_index.types import Triple
from kbqa_agent.features import numbered
from kbqa_agent.prior_shift import shifted

if TYPE_CHECKING:
    from lightgbm import Booster

__all__ = ["SPREAD", "TRAINED_SHARE", "Alike", "HeldOut", "Presence", "PresenceModel", "presence_inputs"]

SPREAD = (
    "best_score", "log_sum", "best_share", "second_share", "agreeing", "mean_score", "score_deviation",
    "other_entity_gap", "other_attribute_gap", "n_mentions", "n_triples",
)  # fmt: skip
FAR = 20.0
"""The gap of the scores where there is no other entity or attribute."""
TRAINED_SHARE = 0.5
"""The share of answerable questions that the trees were trained for."""
SUREST = 0.02
"""The surest share of the held-out answers is taken together: too few to tell their risk apart."""
PRESENCE_FILE, BOOSTER_FILE = "presence.json", "presence.txt"


class Presence(NamedTuple):
    """Three probabilities whose sum is 1."""

    present: float
    no_attribute: float
    no_entity: float

    def with_missing(self, missing: float) -> Presence:
        """The same judgement where nothing answers with the probability `missing`; what is missing keeps its shares.

        >>> Presence(0.5, 0.375, 0.125).with_missing(0.25)
        Presence(present=0.75, no_attribute=0.1875, no_entity=0.0625)
        """
        before = self.no_attribute + self.no_entity
        no_attribute = missing * self.no_attribute / before if before else missing
        return Presence(1.0 - missing, no_attribute, missing - no_attribute)


class Alike(NamedTuple):
    """Which triples share an object, a subject, a predicate: numbers that are equal where those are, (n_triples,)."""

    objects: NDArray[np.int32]
    subjects: NDArray[np.int32]
    predicates: NDArray[np.int32]

    @classmethod
    def of(cls, triples: Sequence[Triple]) -> Alike:
        """Number the parts of one triple or more in the order of their appearance."""
        parts = zip(*((t.object, t.subject_id, t.predicate) for t in triples), strict=True)
        return cls(*(numbered(part)[0].astype(np.int32) for part in parts))

    def by_object(self, shares: NDArray[np.float32]) -> NDArray[np.float64]:
        """The sum of the triples' shares for each object, (n_objects,)."""
        sums: NDArray[np.float64] = np.bincount(self.objects, shares).astype(np.float64)
        return sums


def presence_inputs(
    scores: NDArray[np.float32],
    of_best: NDArray[np.float32],
    alike: Alike,
    shares: NDArray[np.float32],
    n_mentions: int,
) -> NDArray[np.float32]:
    """What the model sees of one question: `SPREAD`, then what is seen of the best triple.

    `scores` and `shares` (probabilities whose sum is 1) are (n_triples,). `of_best` is what the ranker saw of the best
    triple, `attribute_fit` and `asked_for`, (n,); the inputs are (len(SPREAD) + n,).
    """
    first = int(np.argmax(scores))
    same_object, same_subject, same_predicate = (numbers == numbers[first] for numbers in alike)
    by_object = alike.by_object(shares)
    others = np.delete(by_object, alike.objects[first])
    spread = (
        scores[first],
        scores[first] + np.log(np.exp(scores - scores[first]).sum()),
        by_object[alike.objects[first]],
        others.max(initial=0.0),
        same_object.sum(),
        scores.mean(),
        scores.std(),
        _gap(scores, first, ~same_subject & ~same_object),
        _gap(scores, first, same_subject & ~same_predicate),
        n_mentions,
        len(scores),
    )
    return np.concatenate([np.array(spread, np.float32), of_best])


def _gap(scores: NDArray[np.float32], first: int, others: NDArray[np.bool_]) -> float:
    return float(scores[first] - scores[others].max()) if others.any() else FAR


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What was seen of questions that the trees had not: columns, (n_forms,), of answerable and other forms.

    `present` is the probability that an answer is there, `best_share` that of the best answer if one is, `right`
    whether it is, `answerable` whether nothing was taken away from the question.
    """

    present: tuple[float, ...] = ()
    best_share: tuple[float, ...] = ()
    right: tuple[bool, ...] = ()
    answerable: tuple[bool, ...] = ()

    def threshold(self, max_risk: float, share: float) -> float:
        """Give a confidence such that at no higher one more than `max_risk` of the answers are wrong; infinity if none.

        `share` of the questions are answerable: the forms are weighed so. Those of equal confidence count together.

        >>> HeldOut((0.9, 0.8, 0.1), (1.0, 1.0, 1.0), (True, True, False), (True, True, False)).threshold(0.05, 0.5)
        0.8
        """
        confidence = shifted(np.array(self.present), share, TRAINED_SHARE) * np.array(self.best_share)
        order = np.argsort(-confidence, kind="stable")
        weights = self._weights(share)[order]
        risk = np.cumsum(weights * ~np.array(self.right, np.bool_)[order]) / np.maximum(np.cumsum(weights), 1e-12)
        surest = int(SUREST * len(order))
        risk[:surest] = risk[surest] if surest else 0.0
        is_last = np.append(np.diff(confidence[order]) != 0, True)[: len(order)]
        kept = np.flatnonzero(is_last & (np.maximum.accumulate(np.where(is_last, risk, 0.0)) <= max_risk))
        return float(confidence[order[kept[-1]]]) if len(kept) else float("inf")

    def _weights(self, share: float) -> NDArray[np.float64]:
        answerable = np.array(self.answerable, np.bool_)
        n_answerable = max(1, int(answerable.sum()))
        n_other = max(1, len(answerable) - n_answerable)
        return np.where(answerable, share / n_answerable, (1 - share) / n_other)


@dataclass(frozen=True, slots=True)
class PresenceModel:
    """Trees over `presence_inputs`, what was seen of held-out questions, and the share that is expected."""

    booster: Booster
    held_out: HeldOut
    expected_share: float = TRAINED_SHARE
    """Which share of the questions to come is answerable."""

    def predict(self, inputs: NDArray[np.float32]) -> list[Presence]:
        """Judge questions, each by what `presence_inputs` gives for it, (n_questions, n_inputs)."""
        found = np.asarray(self.booster.predict(inputs, num_threads=1), np.float64)  # (n_questions, 3)
        present = shifted(found[:, 0], self.expected_share, TRAINED_SHARE)
        missing = (1 - present)[:, None] * found[:, 1:] / found[:, 1:].sum(axis=1, keepdims=True)
        return [Presence(*of) for of in np.column_stack([present, missing]).tolist()]

    def threshold(self, max_risk: float) -> float:
        """As of what is held out, for the share that is expected."""
        return self.held_out.threshold(max_risk, self.expected_share)

    def save(self, folder: Path) -> None:
        """Write the model into an existing folder; the share that is expected is the user's, and not kept."""
        self.booster.save_model(str(folder / BOOSTER_FILE))
        (folder / PRESENCE_FILE).write_text(json.dumps({"held_out": asdict(self.held_out)}), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> PresenceModel | None:
        """Read what `save` wrote; None where nothing was. Raises: ValueError, KeyError, LightGBMError if damaged."""
        if not (folder / PRESENCE_FILE).is_file():
            return None
        import lightgbm

        about = json.loads((folder / PRESENCE_FILE).read_text(encoding="utf-8"))
        held_out = HeldOut(**{name: tuple(column) for name, column in about["held_out"].items()})
        return cls(lightgbm.Booster(model_file=str(folder / BOOSTER_FILE)), held_out)
