"""Which attribute a question asks for, among all that training asked for, whether or not the entity has it.

The ranker compares what an entity has. Where it lacks what is asked for, the best triple is often a sibling: 有多高 is
answered with a weight. That 高 would fit the wording much better tells that the answer is not there.

Whether two attributes are siblings, or words for one thing, is told by how often entities have both (`together.py`).

An attribute's share is that of a naive Bayes reader, with the gains of `patterns.py` for likelihoods and the number of
training questions for its odds. N-grams overlap, and say again what others said: both are flattened.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from kbqa_agent.patterns import NOTHING, SMOOTHING, TranslationModel
from kbqa_agent.together import NOTHING_TOGETHER, Together

__all__ = ["ASKED_FOR", "AskedFor"]

ASKED_FOR = (
    "asked_share", "likeliest_share", "held_share", "held_by_name_share", "alike_share", "behind_likeliest",
    "likeliest_overlap", "likeliest_is_held", "asked_entropy", "meets_best", "missing_meets_best", "most_missing",
)  # fmt: skip
FLATTER = 3.0
"""Gains are divided by this, the logarithms of counts by two (docs/experiments.md)."""
LOOKED_AT, ALIKE = 20, 0.5
"""Of so many of the likeliest attributes, those that share half of the characters with the best triple's are alike."""


class AskedFor:
    """The attributes that training asked for, and how well each makes the n-grams of questions."""

    def __init__(
        self,
        model: TranslationModel,
        asked: Mapping[str, int],
        parts: Mapping[str, Sequence[str]],
        together: Together = NOTHING_TOGETHER,
    ) -> None:
        """Of a model, read each of the attributes with the number of its questions by its parts."""
        from scipy.sparse import csr_matrix

        self.model, self.attributes, self.together = model, list(asked), together
        self.numbers = {a: i for i, a in enumerate(self.attributes)}
        self.priors = np.log(np.array([asked[a] for a in self.attributes], np.float64)) / 2
        n_attributes, n_parts, n_grams = len(self.attributes), len(model.part_ids), len(model.gram_ids)
        t = csr_matrix((model.values, divmod(model.keys, max(1, n_grams))), shape=(n_parts, n_grams))
        shares = [1 / len(parts[a]) for a in self.attributes]
        known = [
            (i, model.part_ids[part])
            for i, a in enumerate(self.attributes)
            for part in parts[a]
            if part != NOTHING and part in model.part_ids
        ]
        rows, columns = np.array(known, np.int64).reshape(-1, 2).T
        of_parts = csr_matrix((np.array(shares)[rows], (rows, columns)), shape=(n_attributes, n_parts))
        # What `NOTHING` gives stands apart: it has nearly every n-gram, and would make the table dense.
        given = (of_parts @ t).tocsc()  # mean of t(gram | part) over the other parts, (n_attributes, n_grams)
        by_nothing = t[model.part_ids[NOTHING]].toarray()[0] if n_attributes else np.zeros(n_grams)
        distinct, self._share = np.unique(np.array(shares, np.float64), return_inverse=True)
        self._plain = _log_ratio(distinct[:, None] * by_nothing, model.background)  # (n_shares, n_grams)
        attribute, gram = given.indices, np.repeat(np.arange(n_grams), np.diff(given.indptr))
        share = self._share[attribute]
        both = _log_ratio(given.data + distinct[share] * by_nothing[gram], model.background[gram])
        self._starts, self._more = given.indptr, both - self._plain[share, gram]
        self._attribute = attribute.astype(np.int64)

    def gains(self, masked: str) -> NDArray[np.float64]:
        """The total that `TranslationModel.gains` has for each attribute, (n_attributes,)."""
        known = self.model.known_grams(masked)
        more = np.zeros(len(self.attributes))
        for start, end in zip(self._starts[known].tolist(), self._starts[known + 1].tolist(), strict=True):
            more[self._attribute[start:end]] += self._more[start:end]  # each attribute is there once
        gains: NDArray[np.float64] = self._plain[:, known].sum(axis=1)[self._share] + more
        return gains

    def features(self, masked: str, best: str, held: set[str], held_by_name: set[str]) -> NDArray[np.float32]:
        """The numbers of `ASKED_FOR`, (len(ASKED_FOR),), for the best triple's normalised attribute.

        `held` are the attributes that its entity has, `held_by_name` those of all entities of the same mention.
        """
        if not self.attributes:
            return np.zeros(len(ASKED_FOR), np.float32)
        logits = self.gains(masked) / FLATTER + self.priors
        weights = np.exp(logits - logits.max())
        shares = weights / weights.sum()
        order = _greatest(shares, LOOKED_AT)
        likeliest, number = self.attributes[order[0]], self.numbers.get(best)
        alike = [i for i in order if _overlap(self.attributes[i], best) >= ALIKE]
        seen = (
            0.0 if number is None else shares[number],
            shares[order[0]],
            self._sum(shares, held),
            self._sum(shares, held_by_name),
            shares[alike].sum(),
            logits.max() - (logits.min() if number is None else logits[number]),
            _overlap(likeliest, best),
            likeliest in held,
            -(shares * np.log(shares + 1e-12)).sum(),
            *self._company(shares, order, best, held),
        )
        return np.array(seen, np.float32)

    def _company(
        self, shares: NDArray[np.float64], likeliest: list[int], best: str, held: set[str]
    ) -> tuple[float, float, float]:
        """How far the likeliest attributes are others than the best triple's: all, and those that the entity lacks.

        The sum, for the latter also the greatest, of share times how often both attributes meet; NaN where the best
        triple's was not counted.
        """
        others = [i for i in likeliest if self.attributes[i] != best]
        meetings = self.together.meetings(best, [self.attributes[i] for i in others])
        if meetings is None:
            return float("nan"), float("nan"), float("nan")
        met = shares[others] * meetings
        missing = met[[self.attributes[i] not in held for i in others]]
        return float(met.sum()), float(missing.sum()), float(missing.max(initial=0.0))

    def _sum(self, shares: NDArray[np.float64], attributes: set[str]) -> float:
        return float(shares[[self.numbers[a] for a in attributes if a in self.numbers]].sum())


def _greatest(values: NDArray[np.float64], n: int) -> list[int]:
    """The places of the `n` greatest values, greatest first; of equal ones the earlier first.

    >>> _greatest(np.array([0.1, 0.4, 0.4, 0.1]), 3)
    [1, 2, 0]
    """
    least = np.partition(values, -n)[-n] if n < len(values) else -np.inf
    places = np.flatnonzero(values >= least)  # a sort of all would take longer than all else here
    found: list[int] = places[np.argsort(-values[places], kind="stable")][:n].tolist()
    return found


def _log_ratio(given: NDArray[np.float64], background: NDArray[np.float32]) -> NDArray[np.float64]:
    """Logarithm of P(gram | attribute) / P(gram), smoothed; `given` is what the attribute's parts give."""
    found: NDArray[np.float64] = np.log((1 - SMOOTHING) * given / background + SMOOTHING)
    return found


def _overlap(a: str, b: str) -> float:
    """The Jaccard index of two names' characters."""
    return len(set(a) & set(b)) / max(1, len(set(a) | set(b)))
