"""Whether the knowledge base holds what a question asks for at all, told from the ranker's scores.

The ranker orders the triples of one question, and its scores do not say whether the best of them is any good. A small
second model does: it sees the best triple's features and how the scores are spread, and gives the probabilities that
the answer is among the triples, that the entity is there and lacks the attribute, and that the entity is not there.

`finetune.presence` trains it on held-out questions of which half had their answer taken away, so a probability holds
for questions of which half can be answered; where more can, it is too careful.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kb_index.types import Triple

if TYPE_CHECKING:
    from lightgbm import Booster

__all__ = ["SPREAD", "Presence", "PresenceModel", "presence_inputs"]

SPREAD = (
    "best_score", "log_sum", "best_share", "second_share", "agreeing", "mean_score", "score_deviation",
    "other_entity_gap", "other_attribute_gap", "n_mentions", "n_triples",
)  # fmt: skip
FAR = 20.0
"""The gap of the scores where there is no other entity or attribute."""
PRESENCE_FILE, BOOSTER_FILE = "presence.json", "presence.txt"


class Presence(NamedTuple):
    """Three probabilities whose sum is 1."""

    present: float
    no_attribute: float
    no_entity: float


def presence_inputs(
    scores: NDArray[np.float32],
    rows: NDArray[np.float32],
    triples: Sequence[Triple],
    shares: NDArray[np.float32],
    n_mentions: int,
) -> NDArray[np.float32]:
    """What the model sees of one question: `SPREAD`, then the best triple's features, (len(SPREAD) + n_features,).

    `scores` and `shares` (probabilities whose sum is 1) are (n_triples,), `rows` is (n_triples, n_features).
    """
    first = int(np.argmax(scores))
    best = triples[first]
    by_object: dict[str, float] = {}
    for triple, share in zip(triples, shares, strict=True):
        by_object[triple.object] = by_object.get(triple.object, 0.0) + float(share)
    others = sorted((share for value, share in by_object.items() if value != best.object), reverse=True)
    elsewhere = np.array([t.subject_id != best.subject_id and t.object != best.object for t in triples])
    beside = np.array([t.subject_id == best.subject_id and t.predicate != best.predicate for t in triples])
    spread = (
        scores[first],
        scores[first] + np.log(np.exp(scores - scores[first]).sum()),
        by_object[best.object],
        others[0] if others else 0.0,
        sum(t.object == best.object for t in triples),
        scores.mean(),
        scores.std(),
        _gap(scores, first, elsewhere),
        _gap(scores, first, beside),
        n_mentions,
        len(triples),
    )
    return np.concatenate([np.array(spread, np.float32), rows[first]])


def _gap(scores: NDArray[np.float32], first: int, others: NDArray[np.bool_]) -> float:
    return float(scores[first] - scores[others].max()) if others.any() else FAR


@dataclass(frozen=True)
class PresenceModel:
    """Trees over `presence_inputs`, and the risk of answering that was measured beside them.

    `risk` holds (confidence, share of wrong answers among those at least this sure), the surest first; the shares do
    not fall.
    """

    booster: Booster
    risk: tuple[tuple[float, float], ...]

    def predict(self, inputs: NDArray[np.float32]) -> Presence:
        """Judge one question; `inputs` as `presence_inputs` gives them."""
        found = np.asarray(self.booster.predict(inputs[None], num_threads=1))[0]
        return Presence(*map(float, found))

    def threshold(self, max_risk: float) -> float:
        """Give the lowest confidence at which at most `max_risk` of the answers were wrong; infinity if there is none.

        >>> PresenceModel(None, ((0.9, 0.01), (0.6, 0.04), (0.2, 0.3))).threshold(0.05)
        0.6
        """
        return min((confidence for confidence, risk in self.risk if risk <= max_risk), default=float("inf"))

    def save(self, folder: Path) -> None:
        """Write the model into an existing folder."""
        self.booster.save_model(str(folder / BOOSTER_FILE))
        (folder / PRESENCE_FILE).write_text(json.dumps({"risk": self.risk}), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> PresenceModel | None:
        """Read what `save` wrote; None where nothing was. Raises: ValueError, KeyError, LightGBMError if damaged."""
        if not (folder / PRESENCE_FILE).is_file():
            return None
        import lightgbm

        about = json.loads((folder / PRESENCE_FILE).read_text(encoding="utf-8"))
        risk = tuple((float(confidence), float(share)) for confidence, share in about["risk"])
        return cls(lightgbm.Booster(model_file=str(folder / BOOSTER_FILE)), risk)
