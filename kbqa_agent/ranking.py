"""The trained ranker: features in, calibrated probabilities out.

A LambdaMART model (gradient-boosted trees, LightGBM) orders the triples of a question; a softmax with a temperature
and a term for "none of these" turns its scores into probabilities, both fitted on questions held out from training.
Training is `finetune.ranker`; what it writes, and this module reads, is one folder:

    ranker.json   booster.txt   asked.json   {patterns,objects,together}.{safetensors,json}
    [presence.json   presence.txt]   [similarity.safetensors]

Where the folder holds a model of presence, that one says how probable it is that any triple answers, in place of the
constant term for "none of these". Where it was trained with a transformer encoder, `ranker.json` has its name and the
sha256 of its files, and the same encoder has to be there.

Reference: Burges 2010, "From RankNet to LambdaRank to LambdaMART"; Guo et al. 2017, arXiv:1706.04599 (temperature).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from copy import copy
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kb_index.errors import ModelError
from kb_index.knowledge_base import KnowledgeBase
from kb_index.manifest import RANKER_FOLDER, describe_file
from kb_index.types import Triple
from kbqa_agent.asked_for import ASKED_FOR
from kbqa_agent.attribute_fit import ATTRIBUTE_FIT, attribute_fit
from kbqa_agent.features import (
    Asked,
    MadeRows,
    attribute_of,
    candidate_features,
    candidate_features_many,
    feature_names,
    mention_of_triples,
)
from kbqa_agent.mention_features import mask_mention
from kbqa_agent.presence import SPREAD, Alike, Presence, PresenceModel, presence_inputs
from kbqa_agent.similarity import Similarity
from kbqa_agent.text_encoder import TextEncoder
from kbqa_agent.types import EntityMention
from kbqa_agent.wordings import Wordings

if TYPE_CHECKING:
    from lightgbm import Booster

__all__ = [
    "DEFAULT_RANKER",
    "LIKELIHOOD_WEIGHT",
    "RANKER_FILE",
    "Calibration",
    "RankerSource",
    "TrainedRanker",
    "check_ranker",
    "load_ranker",
    "weigh",
]

DEFAULT_RANKER = Path(__file__).parent / "data" / "ranker"
RANKER_FILE = "ranker.json"
FORMAT_VERSION = 3
LIKELIHOOD_WEIGHT = 1.0


@dataclass(frozen=True, slots=True)
class Calibration:
    """P(triple i) = exp(s_i / temperature) / (sum over triples + exp(none)).

    `likelihood_weight` is the exponent that a generator's likelihood per character gets beside that probability.
    """

    temperature: float = 1.0
    none: float = 0.0
    likelihood_weight: float = LIKELIHOOD_WEIGHT

    def probabilities(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scores (n_triples,) to probabilities (n_triples,) whose sum, with that of "none of these", is 1."""
        logits = np.append(scores / self.temperature, self.none).astype(np.float64)
        return _softmax(logits)[:-1].astype(np.float32)

    def shares(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scores (n_triples,) to probabilities (n_triples,) if one of the triples is right: their sum is 1."""
        return _softmax((scores / self.temperature).astype(np.float64)).astype(np.float32)


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    weights = np.exp(logits - logits.max())
    shares: NDArray[np.float64] = weights / weights.sum()
    return shares


def weigh(
    probabilities: NDArray[np.float64], log_likelihoods: NDArray[np.float64], weight: float
) -> NDArray[np.float64]:
    """Multiply probabilities by likelihoods to the power `weight`, keeping their sum; all arrays (n_candidates,).

    >>> weigh(np.array([0.4, 0.4]), np.log(np.array([0.9, 0.1])), 1.0).round(2).tolist()
    [0.72, 0.08]
    """
    logits = np.log(probabilities + 1e-12) + weight * log_likelihoods
    weighed: NDArray[np.float64] = _softmax(logits) * probabilities.sum()
    return weighed


class RankerSource(NamedTuple):
    """The folder of a ranker, and the sha256 of its record, which holds those of its other files."""

    folder: Path
    sha256: str


class TrainedRanker:
    """LambdaMART over `features`; it counts attributes in the knowledge base that it was opened for."""

    def __init__(
        self,
        kb: KnowledgeBase,
        booster: Booster,
        wordings: Wordings,
        calibration: Calibration,
        presence: PresenceModel | None = None,
    ) -> None:
        self.kb, self.booster, self.wordings, self.calibration = kb, booster, wordings, calibration
        self.presence = presence
        self.source: RankerSource | None = None
        """Where it was loaded from, if it was."""

    def rank(
        self, question: str, mentions: Sequence[EntityMention], triples: Sequence[Triple]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Score each triple as the one that answers the question: raw scores and probabilities, both (n_triples,)."""
        scores, probabilities, _ = self.judge(question, mentions, triples)
        return scores, probabilities

    def judge(
        self, question: str, mentions: Sequence[EntityMention], triples: Sequence[Triple]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], Presence | None]:
        """What `rank` gives, and how probable it is that any triple answers and what is missing otherwise.

        The last is None where that was never learnt, and without triples.
        """
        return self.judge_many([Asked(question, mentions, triples)])[0]

    def judge_many(
        self, asked: Sequence[Asked]
    ) -> list[tuple[NDArray[np.float32], NDArray[np.float32], Presence | None]]:
        """What `judge` says of each question: the same numbers, in less time."""
        features = candidate_features_many(asked, self.wordings, self.kb.attribute_frequency)
        there = [(of_question, rows) for of_question, rows in zip(asked, features, strict=True) if len(rows)]
        judged = iter(self._judged(*zip(*there, strict=True)) if there else ())
        nothing = np.zeros(0, np.float32), np.zeros(0, np.float32), None
        return [next(judged) if len(rows) else nothing for rows in features]

    def _judged(
        self, asked: Sequence[Asked], features: Sequence[NDArray[np.float32]]
    ) -> list[tuple[NDArray[np.float32], NDArray[np.float32], Presence | None]]:
        """Judge one question or more that have triples."""
        ends = np.cumsum([len(rows) for rows in features])
        scores = np.split(self._predicted(np.concatenate(features)), ends[:-1])
        if self.presence is None:
            return [(of, self.calibration.probabilities(of), None) for of in scores]
        shares = [self.calibration.shares(of) for of in scores]
        inputs = [
            presence_inputs(of, self._seen_of_best(a, rows, of), Alike.of(a.triples), share, len(a.mentions))
            for a, rows, of, share in zip(asked, features, scores, shares, strict=True)
        ]
        presences = self.presence.predict(np.array(inputs))
        return [
            (of, (share * presence.present).astype(np.float32), presence)
            for of, share, presence in zip(scores, shares, presences, strict=True)
        ]

    def score(
        self,
        question: str,
        mentions: Sequence[EntityMention],
        triples: Sequence[Triple],
        made: MadeRows | None = None,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Raw scores (n_triples,), and what a model of presence sees of the best triple, (n_seen,).

        `made` is as in `candidate_features`.
        """
        rows = candidate_features(question, mentions, triples, self.wordings, self.kb.attribute_frequency, made)
        scores = self._predicted(rows)
        return scores, self._seen_of_best(Asked(question, mentions, triples), rows, scores)

    def _seen_of_best(
        self, asked: Asked, rows: NDArray[np.float32], scores: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        triples, first = asked.triples, int(np.argmax(scores))
        mention_of = mention_of_triples(asked.mentions, triples)
        masked = mask_mention(asked.question, asked.mentions[mention_of[first]])
        attributes = [attribute_of(t.predicate) for t in triples]
        best = attributes[first]
        held = {a for a, t in zip(attributes, triples, strict=True) if t.subject_id == triples[first].subject_id}
        by_name = {a for a, number in zip(attributes, mention_of, strict=True) if number == mention_of[first]}
        fit = attribute_fit(masked, best, self.kb.attribute_frequency)
        asked_for = self.wordings.asked_for.features(masked, best, held, by_name)
        return np.concatenate([rows[first], fit, asked_for])

    def contributions(self, asked: Asked, at: Sequence[int]) -> NDArray[np.float64]:
        """How much each feature adds to the raw scores of the triples at some places, (n_places, n_features)."""
        (rows,) = candidate_features_many([asked], self.wordings, self.kb.attribute_frequency)
        found = self.booster.predict(rows[list(at)], num_threads=1, pred_contrib=True)
        return np.asarray(found, np.float64)[:, :-1]  # the last one is what every triple begins with

    def _predicted(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(self.booster.predict(rows, num_threads=1), np.float32)

    def expecting(self, share: float) -> TrainedRanker:
        """The same ranker for questions of which this share has an answer; it counts only where presence was learnt."""
        expecting = copy(self)
        expecting.presence = replace(self.presence, expected_share=share) if self.presence else None
        return expecting

    @property
    def features(self) -> tuple[str, ...]:
        """The names of what it sees of a triple."""
        return feature_names(self.wordings.similarity is not None)

    @property
    def presence_names(self) -> tuple[str, ...]:
        """The names of what its model of presence sees of a question."""
        return (*SPREAD, *(f"of_best_{name}" for name in (*self.features, *ATTRIBUTE_FIT, *ASKED_FOR)))

    @property
    def expected_share(self) -> float | None:
        """The share of answerable questions that the probabilities hold for; None if presence was never learnt."""
        return self.presence.expected_share if self.presence else None

    def threshold(self, max_risk: float) -> float:
        """The lowest confidence at which at most `max_risk` of the answers are wrong; 1 - max_risk if not measured."""
        return self.presence.threshold(max_risk) if self.presence else 1.0 - max_risk

    def save(self, folder: Path, record: dict[str, object]) -> None:
        """Write the ranker into an existing empty folder; `record` says how it was trained."""
        self.booster.save_model(str(folder / "booster.txt"))
        self.wordings.save(folder)
        if self.presence:
            self.presence.save(folder)
        similarity = self.wordings.similarity
        about = {
            "format": FORMAT_VERSION,
            "features": list(self.features),
            **({"encoder": similarity.save(folder)} if similarity else {}),
            "files": {path.name: describe_file(path).sha256 for path in sorted(folder.iterdir())},
            "calibration": asdict(self.calibration),
            "record": record,
        }
        (folder / RANKER_FILE).write_text(json.dumps(about, ensure_ascii=False, indent=1), encoding="utf-8")


def check_ranker(folder: Path) -> dict[str, Any]:
    """Read a ranker's record, and make sure that its files are as they were written. Raises: ModelError."""
    try:
        about: dict[str, Any] = json.loads((folder / RANKER_FILE).read_text(encoding="utf-8"))
        if about["format"] != FORMAT_VERSION or about["features"] != list(feature_names("encoder" in about)):
            raise _made_by_another_version(folder)
        for name, sha256 in about["files"].items():  # LightGBM ends the process where its file is damaged
            if describe_file(folder / name).sha256 != sha256:
                raise ValueError(f"{name} is not as it was written")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _unreadable(folder, error) from error
    return about


def load_ranker(kb: KnowledgeBase, folder: Path | None = None) -> TrainedRanker:
    """Open the ranker in `folder`; by default the index's own or, where it has none, the one shipped in the package.

    Raises: ModelError when the folder holds no ranker, a damaged one, one for other features, or one whose encoder is
    not there; MissingExtraError when the packages for that encoder are not.
    """
    own = kb.path / RANKER_FOLDER
    folder = folder or (own if own.is_dir() else DEFAULT_RANKER)
    import lightgbm
    from safetensors import SafetensorError

    about = check_ranker(folder)
    try:
        booster = lightgbm.Booster(model_file=str(folder / "booster.txt"))
        wordings, calibration = Wordings.load(folder), Calibration(**about["calibration"])
        if "encoder" in about:
            wordings = replace(wordings, similarity=Similarity.load(folder, _encoder(folder, **about["encoder"])))
        ranker = TrainedRanker(kb, booster, wordings, calibration, PresenceModel.load(folder))
        if ranker.presence and tuple(ranker.presence.booster.feature_name()) != ranker.presence_names:
            raise _made_by_another_version(folder)
        ranker.source = RankerSource(folder.resolve(), describe_file(folder / RANKER_FILE).sha256)
        return ranker
    except (OSError, ValueError, KeyError, TypeError, SafetensorError, lightgbm.basic.LightGBMError) as error:
        raise _unreadable(folder, error) from error


def _made_by_another_version(folder: Path) -> ModelError:
    return ModelError(f"ranker {folder}: made by another version of kbqa; train it again: kbqa finetune ranker")


def _unreadable(folder: Path, error: Exception) -> ModelError:
    reason = " ".join(str(error).split())
    return ModelError(f"ranker {folder}: cannot be read ({reason}); train it again: kbqa finetune ranker")


def _encoder(folder: Path, name: str, sha256: str) -> TextEncoder:
    advice = "; put that encoder there, or train the ranker again: kbqa finetune ranker --encoder FOLDER"
    try:
        encoder = TextEncoder(name)
    except ModelError as error:
        raise ModelError(f"ranker {folder}: was trained with {error}{advice}") from error
    if encoder.fingerprint != sha256:
        found = f"another model is there (sha256 {encoder.fingerprint[:12]})"
        raise ModelError(f"ranker {folder}: was trained with encoder {name!r} (sha256 {sha256[:12]}), {found}{advice}")
    return encoder
