"""Question-answer pairs -> the ranker's folder: find the gold triples, count question patterns, boost, calibrate, save.

Statistics are fitted out of fold: the pattern counts that a training question's features see never saw that question.
The calibration is fitted on the validation share, which takes part in nothing else.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from finetune.likelihood import collect, fit_likelihood_weight
from finetune.presence import fit_presence
from finetune.ranges import at_least, check_ranges
from finetune.record import StageMetrics, sha256_of, training_record, write_metrics
from finetune.retrieved import Retrieved, all_texts, retrieve_examples
from kb_index.atomic import check_replaceable, replacing_folder
from kb_index.errors import InputError, QuestionFileError
from kb_index.knowledge_base import KnowledgeBase
from kbqa_agent.agent import KBQAgent
from kbqa_agent.features import candidate_features, feature_names
from kbqa_agent.ranking import RANKER_FILE, Calibration, TrainedRanker
from kbqa_agent.similarity import AskedAttribute, EncodedTexts, Similarity
from kbqa_agent.text_encoder import TextEncoder
from kbqa_agent.types import Generator, QAExample
from kbqa_agent.wordings import Wordings

if TYPE_CHECKING:
    from lightgbm import Booster

__all__ = ["RankerConfig", "RankerResult", "train_ranker"]

logger = logging.getLogger(__name__)

LABEL_GAINS = (0, 1, 3)
"""Of no answer, `SAME_ANSWER` and `GOLD`."""
BLOCKS = 20
"""Folds and the validation share are made of whole blocks of neighbouring questions: neighbours are often by one writer
and about similar things, so a question that is left out alone is easier than a new one."""
HELD_OUT_BLOCKS = 200
"""The validation share is drawn from more and smaller ones: the parts of a file differ, and confidences that are fitted
on two long stretches of one hold for these alone (docs/experiments.md)."""
PACKAGES = ("lightgbm", "numpy")
ENCODER_PACKAGES = ("torch", "transformers")


@dataclass(frozen=True, slots=True)
class RankerConfig:
    """How a ranker is trained; `trees`, `leaves`, `negatives` (a question) and `folds` are counts."""

    validation_share: float = 0.1
    folds: int = 5
    negatives: int = 60
    trees: int = 300
    leaves: int = 31
    learning_rate: float = 0.08
    weighed: int = 200
    """Held-out questions on which the weight of a generator's likelihood is fitted."""
    encoder: str | None = None
    """Folder or hub name of a transformer encoder that compares questions with attributes; None: no such features."""
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0.0 < self.validation_share < 1.0:
            raise InputError(f"validation_share={self.validation_share}: expected a share between 0 and 1")
        check_ranges(self, at_least(2, "folds", "negatives", "trees", "leaves"))


@dataclass(frozen=True, slots=True)
class RankerResult:
    """What training found: the number of questions and, of the answerable ones, how they fare."""

    n_questions: int
    recall: float
    validation_mrr: float
    calibration: Calibration
    seconds: float


def train_ranker(
    kb: KnowledgeBase,
    examples: Sequence[QAExample],
    out: Path,
    config: RankerConfig | None = None,
    generator: Generator | None = None,
) -> RankerResult:
    """Train a ranker for a knowledge base and write it to the folder `out`, replacing a ranker that is there.

    Beside the ranker, whose `ranker.json` holds the record of its training, stands `metrics.jsonl`.

    With a generator, how much its likelihoods count is fitted on held-out questions too.

    Raises: QuestionFileError when hardly any answer is in the knowledge base. Before any training, StorageError when
    `out` is neither absent, nor empty, nor a ranker; ModelError or MissingExtraError when the encoder cannot be used.
    """
    check_replaceable(out, RANKER_FILE)
    config = config or RankerConfig()
    texts = EncodedTexts(TextEncoder(config.encoder)) if config.encoder else None
    stages = StageMetrics()
    found = retrieve_examples(kb, examples)
    held_out = _held_out(len(found), config)
    training = [f for f, held in zip(found, held_out, strict=True) if not held]
    validation = [f for f, held in zip(found, held_out, strict=True) if held]
    if sum(f.asked is not None for f in training) < 20:
        raise QuestionFileError(
            f"{len(examples)} questions: hardly any has its answer in {kb.path}; give questions about its entities"
        )
    recall = float(np.mean([f.asked is not None for f in found if f.answerable]))
    stages.add("retrieve", n_questions=len(found), recall=recall)
    if texts is not None:
        texts.prepare(*all_texts(found))
        stages.add("encode", n_questions=len(found))
    booster = _boost(*_training_rows(kb, training, config, texts), config)
    wordings = _wordings(training, texts)
    scored = _score(kb, booster, wordings, validation)
    mrr = _mrr(validation, scored)
    stages.add("boost", validation_mrr=mrr)
    ranker = TrainedRanker(kb, booster, wordings, fit_calibration(scored))
    unseen = [examples[i] for i in np.random.default_rng(config.seed).permutation(np.flatnonzero(held_out))]
    ranker.presence = fit_presence(ranker, unseen, config.seed)
    if generator is not None:
        _weigh(ranker, generator, unseen[: config.weighed])
    stages.add("calibrate", n_questions=len(found), recall=recall, validation_mrr=mrr, **asdict(ranker.calibration))
    result = RankerResult(len(found), recall, mrr, ranker.calibration, stages.seconds)
    data = {"questions_sha256": sha256_of(map(asdict, examples)), "result": asdict(result)}
    with replacing_folder(out, holds=RANKER_FILE) as folder:
        ranker.save(folder, training_record(asdict(config), data, (*PACKAGES, *(ENCODER_PACKAGES if texts else ()))))
        write_metrics(stages.rows, folder / "metrics.jsonl")
    return result


def _blocks(n: int, n_blocks: int = BLOCKS) -> NDArray[np.int64]:
    """The number of the block that each of n neighbouring questions is in, (n,)."""
    return np.arange(n) * n_blocks // max(1, n)


def _held_out(n: int, config: RankerConfig) -> NDArray[np.bool_]:
    """Which of n questions are held out for validation, (n,): whole blocks of them."""
    n_blocks = min(n, HELD_OUT_BLOCKS)
    n_held_out = max(1, round(n_blocks * config.validation_share))
    drawn = np.random.default_rng(config.seed).permutation(n_blocks)[:n_held_out]
    held: NDArray[np.bool_] = np.isin(_blocks(n, n_blocks), drawn)
    return held


def _weigh(ranker: TrainedRanker, generator: Generator, held_out: Sequence[QAExample]) -> None:
    weight = fit_likelihood_weight(collect(KBQAgent(ranker.kb, ranker, generator), held_out))
    ranker.calibration = replace(ranker.calibration, likelihood_weight=weight)


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


def _wordings(found: Iterable[Retrieved], texts: EncodedTexts | None) -> Wordings:
    known = [(f.asked, AskedAttribute(f.question, f.about, f.asked.attribute)) for f in found if f.asked and f.about]
    wordings = Wordings.fit(fact for fact, _ in known)
    return replace(wordings, similarity=Similarity.fit(texts, [asked for _, asked in known])) if texts else wordings


def _training_rows(
    kb: KnowledgeBase, training: Sequence[Retrieved], config: RankerConfig, texts: EncodedTexts | None = None
) -> tuple[NDArray[np.float32], NDArray[np.int64], list[int]]:
    """Features (n_rows, n_features), labels (n_rows,) and the number of rows of each question."""
    rng = np.random.default_rng(config.seed)
    rows, labels, sizes = [], [], []
    fold_of = _blocks(len(training)) % config.folds
    bar = tqdm(total=len(training), desc="features", unit="question", disable=None)
    for fold in range(config.folds):
        wordings = _wordings((f for i, f in enumerate(training) if fold_of[i] != fold), texts)
        for f in (f for i, f in enumerate(training) if fold_of[i] == fold):
            bar.update()
            if not f.labels.any():
                continue
            keep = _sample(f.labels, config.negatives, rng)
            rows.append(candidate_features(f.question, f.mentions, f.triples, wordings, kb.attribute_frequency)[keep])
            labels.append(f.labels[keep])
            sizes.append(len(keep))
    bar.close()
    return np.concatenate(rows), np.concatenate(labels), sizes


def _sample(labels: NDArray[np.int64], n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """All right triples and at most `n` wrong ones."""
    wrong = np.flatnonzero(labels == 0)
    return np.concatenate([np.flatnonzero(labels), rng.permutation(wrong)[:n]])


def _boost(rows: NDArray[np.float32], labels: NDArray[np.int64], sizes: Sequence[int], config: RankerConfig) -> Booster:
    import lightgbm

    settings = {
        "objective": "lambdarank",
        "label_gain": list(LABEL_GAINS),
        "lambdarank_truncation_level": 10,
        "num_leaves": config.leaves,
        "learning_rate": config.learning_rate,
        "min_data_in_leaf": 20,
        "feature_fraction": 0.4,
        "seed": config.seed,
        "deterministic": True,
        "verbosity": -1,
    }
    data = lightgbm.Dataset(rows, labels, group=list(sizes), feature_name=list(feature_names(bool(config.encoder))))
    with tqdm(total=config.trees, desc="trees", unit="tree", disable=None) as bar:
        return lightgbm.train(settings, data, config.trees, callbacks=[lambda _: bar.update() and None])


def _score(
    kb: KnowledgeBase, booster: Booster, wordings: Wordings, found: Sequence[Retrieved]
) -> list[tuple[NDArray[np.float32], NDArray[np.bool_]]]:
    ranker = TrainedRanker(kb, booster, wordings, Calibration())
    return [(ranker.rank(f.question, f.mentions, f.triples)[0], f.labels > 0) for f in found]


def _mrr(found: Sequence[Retrieved], scored: Sequence[tuple[NDArray[np.float32], NDArray[np.bool_]]]) -> float:
    """Mean reciprocal rank of the right answer among the distinct answers, over answerable questions."""
    ranks = []
    for f, (scores, right) in zip(found, scored, strict=True):
        if not f.answerable:
            continue
        answers = list(dict.fromkeys(f.triples[i].object for i in np.argsort(-scores, kind="stable")))
        gold = {f.triples[i].object for i in np.flatnonzero(right)}
        ranks.append(next((1 / (n + 1) for n, a in enumerate(answers) if a in gold), 0.0))
    return float(np.mean(ranks)) if ranks else 0.0
