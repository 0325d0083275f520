"""Question-answer pairs -> the ranker's folder: find the gold triples, count question patterns, boost, calibrate, save.

Statistics are fitted out of fold: the pattern counts that a training question's features see never saw that question.
A first ranker is trained without a share that is held out, and asked about it with such statistics: this tells how sure
its scores make, and when to be silent. (The features of the other folds' questions, which its trees saw, were made with
statistics of the held-out ones.) The ranker that is kept is trained on everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from finetune.calibration import calibrated, likelihood_weight
from finetune.ranges import at_least, check_ranges, shares
from finetune.record import StageMetrics, sha256_of, training_record, write_metrics
from finetune.retrieved import Retrieved, all_texts, retrieve_examples
from finetune.unseeing import stretches, unseeing
from kb_index.atomic import check_replaceable, replacing_folder
from kb_index.errors import QuestionFileError
from kb_index.knowledge_base import KnowledgeBase
from kbqa_agent.features import candidate_features, feature_names
from kbqa_agent.parallel import batches, n_processors, over_batches, threads_for
from kbqa_agent.ranking import RANKER_FILE, Calibration, TrainedRanker
from kbqa_agent.similarity import AskedAttribute, EncodedTexts, Similarity
from kbqa_agent.text_encoder import TextEncoder
from kbqa_agent.together import Together
from kbqa_agent.types import Generator, QAExample
from kbqa_agent.wordings import Wordings

if TYPE_CHECKING:
    from lightgbm import Booster

__all__ = ["RankerConfig", "RankerResult", "train_ranker"]

LABEL_GAINS = (0, 1, 3)
"""Of no answer, `SAME_ANSWER` and `GOLD`."""
HELD_OUT_STRETCHES, STRETCH = 200, 75
"""What is held out is drawn from many small stretches of the file: its parts differ, and confidences that are fitted
on a few long ones hold for these alone (docs/experiments.md). The least number of stretches, and the questions of each
where there are more."""
MANY = 1000
"""With fewer questions, one process is about as fast as several, which take a few seconds to start."""
PACKAGES = ("lightgbm", "numpy")
ENCODER_PACKAGES = ("torch", "transformers")


@dataclass(frozen=True, slots=True)
class RankerConfig:
    """How a ranker is trained; `trees`, `leaves`, `negatives` (a question) and `folds` are counts."""

    folds: int = 3
    """Each is one stretch of the file: neighbours are often by one writer and about similar things, so that a question
    whose neighbours are known is easier than a new one (docs/experiments.md)."""
    negatives: int = 60
    trees: int = 300
    leaves: int = 31
    learning_rate: float = 0.08
    held_out: int = 3000
    """About how many questions, at most, tell how sure the scores make and when to be silent."""
    held_out_share: float = 0.2
    """The share of all questions that they are, at most."""
    weighed: int = 200
    """Held-out questions on which the weight of a generator's likelihood is fitted."""
    new_attributes: float = 0.0
    """The share of the attributes that questions to come ask for and none of these does."""
    encoder: str | None = None
    """Folder or hub name of a transformer encoder that compares questions with attributes; None: no such features."""
    processes: int | None = None
    """In how many processes questions are looked at; None: one for each processor, or one for few questions. With an
    encoder it is always one, as each would load that too."""
    seed: int = 0

    def processes_for(self, n_questions: int) -> int:
        """The number of processes for so many questions."""
        if self.encoder:
            return 1
        return self.processes or (n_processors() if n_questions >= MANY else 1)

    def __post_init__(self) -> None:
        counts = at_least(2, "folds", "negatives", "trees", "leaves", "held_out", "weighed")
        counts += at_least(1, "processes")
        new = ("new_attributes", lambda value: 0.0 <= value <= 1.0, "a share from 0 to 1")
        check_ranges(self, (*counts, *shares("held_out_share"), new))


@dataclass(frozen=True, slots=True)
class RankerResult:
    """What training found: the number of questions and, of the answerable ones, how they fare."""

    n_questions: int
    recall: float
    validation_mrr: float
    calibration: Calibration
    knows_silence: bool
    """Whether the held-out questions were enough to learn when the knowledge base does not say."""
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
    if sum(f.asked is not None for f, held in zip(found, held_out, strict=True) if not held) < 20:
        known = sum(f.asked is not None for f in found)
        raise QuestionFileError(
            f"{len(examples)} questions, {known} of them with their answer in {kb.path}: too few to train on; "
            "give some hundred or more about its entities"
        )
    recall = float(np.mean([f.asked is not None for f in found if f.answerable]))
    stages.add("retrieve", n_questions=len(found), recall=recall)
    if texts is not None:
        texts.prepare(*all_texts(found))
        stages.add("encode", n_questions=len(found))
    together = Together.count(kb)
    rows, shown_with = _training_rows(kb, found, config, together, texts)
    first = _boost([r for r in rows if not held_out[r.question]], config)
    judges = {id(wordings): TrainedRanker(kb, first, wordings, Calibration()) for wordings in shown_with}
    asked = [(judges[id(shown_with[i])], examples[i]) for i in np.flatnonzero(held_out).tolist()]
    calibration, presence, mrr = calibrated(kb, asked, config.processes_for(len(found)), config.seed)
    if generator is not None:
        calibration = replace(
            calibration, likelihood_weight=likelihood_weight(asked, calibration, generator, config.weighed, config.seed)
        )
    stages.add("hold out", n_held_out=len(asked), validation_mrr=mrr, **asdict(calibration))
    ranker = TrainedRanker(kb, _boost(rows, config), _wordings(found, together, texts), calibration, presence)
    stages.add("boost", n_questions=len(found), recall=recall)
    result = RankerResult(len(found), recall, mrr, ranker.calibration, presence is not None, stages.seconds)
    data = {"questions_sha256": sha256_of(map(asdict, examples)), "result": asdict(result)}
    with replacing_folder(out, holds=RANKER_FILE) as folder:
        ranker.save(folder, training_record(asdict(config), data, (*PACKAGES, *(ENCODER_PACKAGES if texts else ()))))
        write_metrics(stages.rows, folder / "metrics.jsonl")
    return result


def _held_out(n: int, config: RankerConfig) -> NDArray[np.bool_]:
    """Which of n questions are held out, (n,)."""
    n_stretches = min(n, max(HELD_OUT_STRETCHES, n // STRETCH))
    n_drawn = max(1, round(n_stretches * min(config.held_out_share, config.held_out / max(1, n))))
    drawn = np.random.default_rng(config.seed).permutation(n_stretches)[:n_drawn]
    held: NDArray[np.bool_] = np.isin(stretches(n, n_stretches), drawn)
    return held


def _wordings(found: Iterable[Retrieved], together: Together, texts: EncodedTexts | None) -> Wordings:
    known = [(f.asked, AskedAttribute(f.question, f.about, f.asked.attribute)) for f in found if f.asked and f.about]
    wordings = Wordings.fit((fact for fact, _ in known), together)
    return replace(wordings, similarity=Similarity.fit(texts, [asked for _, asked in known])) if texts else wordings


class _Rows(NamedTuple):
    """The triples of a question that are trained on: its number, features (n, n_features), labels (n,)."""

    question: int
    features: NDArray[np.float32]
    labels: NDArray[np.int64]


def _training_rows(
    kb: KnowledgeBase,
    found: Sequence[Retrieved],
    config: RankerConfig,
    together: Together,
    texts: EncodedTexts | None = None,
) -> tuple[list[_Rows], list[Wordings]]:
    """What is trained on of each question that has a right triple; and for each question the wordings it is shown with.

    These never saw it.
    """
    shown_with: dict[int, Wordings] = {}

    def tasks() -> Iterator[tuple[Wordings, list[tuple[int, Retrieved]], RankerConfig]]:
        asked = [f.asked.attribute if f.asked else None for f in found]
        for shown, counted in unseeing(asked, config.folds, config.new_attributes, config.seed):
            wordings = _wordings((found[i] for i in counted.tolist()), together, texts)
            shown_with.update(dict.fromkeys(shown.tolist(), wordings))
            for batch in batches([i for i in shown.tolist() if found[i].asked]):
                yield wordings, [(i, found[i]) for i in batch], config

    n_right = sum(f.asked is not None for f in found)
    rows = tqdm(
        over_batches(kb, _rows_of, tasks(), config.processes_for(len(found))),
        desc="features",
        total=n_right,
        unit="question",
        disable=None,
    )
    return sorted(rows, key=lambda r: r.question), [shown_with[i] for i in range(len(found))]


def _rows_of(
    kb: KnowledgeBase, wordings: Wordings, numbered: Sequence[tuple[int, Retrieved]], config: RankerConfig
) -> list[_Rows]:
    rows = []
    for number, f in numbered:
        rng = np.random.default_rng((config.seed, number))
        keep = _sample(f.labels, config.negatives, rng)
        features = candidate_features(f.question, f.mentions, f.triples, wordings, kb.attribute_frequency)
        rows.append(_Rows(number, features[keep], f.labels[keep]))
    return rows


def _sample(labels: NDArray[np.int64], n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """All right triples and at most `n` wrong ones."""
    wrong = np.flatnonzero(labels == 0)
    return np.concatenate([np.flatnonzero(labels), rng.permutation(wrong)[:n]])


def _boost(rows: Sequence[_Rows], config: RankerConfig) -> Booster:
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
        "num_threads": threads_for(sum(len(r.labels) for r in rows)),
        "verbosity": -1,
    }
    data = lightgbm.Dataset(
        np.concatenate([r.features for r in rows]),
        np.concatenate([r.labels for r in rows]),
        group=[len(r.labels) for r in rows],
        feature_name=list(feature_names(bool(config.encoder))),
    )
    with tqdm(total=config.trees, desc="trees", unit="tree", disable=None) as bar:
        return lightgbm.train(settings, data, config.trees, callbacks=[lambda _: bar.update() and None])
