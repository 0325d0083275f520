"""Question-answer pairs -> BERT's folder: find gold mentions and attributes, train, calibrate on held-out questions.

The network is `kbqa_agent.bert_network`, the ranker that it makes `kbqa_agent.bert_ranker`. Some stretches of the file
are held out: they choose the epoch that is kept and fit the temperatures, and no weight is trained on them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from finetune.bert_config import SCRATCH, BertTraining
from finetune.bert_rows import bert_rows
from finetune.bert_scratch import character_tokenizer, small_bert
from finetune.bert_training import HeldOut, judge_rows, train_network
from finetune.record import StageMetrics, sha256_of, training_record, write_metrics
from finetune.retrieved import Retrieved, all_texts, retrieve_examples
from finetune.unseeing import stretches
from kb_index.atomic import check_replaceable, replacing_folder
from kb_index.errors import MissingExtraError, QuestionFileError
from kb_index.knowledge_base import KnowledgeBase
from kbqa_agent.bert_network import BertNetwork
from kbqa_agent.bert_ranker import BertCalibration, BertRanker, log_softmax
from kbqa_agent.candidates import candidates_of
from kbqa_agent.qa_data import comparable
from kbqa_agent.ranking import RANKER_FILE
from kbqa_agent.text_encoder import open_encoder
from kbqa_agent.types import QAExample

__all__ = ["BertResult", "train_bert"]

STRETCHES = 200
"""Held-out questions are drawn in so many stretches: neighbours of the file are alike."""
FEWEST = 20
"""Questions to train on."""
LOG_TEMPERATURES = (-3.0, 3.0)
PACKAGES = ("torch", "transformers", "tokenizers", "numpy")


@dataclass(frozen=True, slots=True)
class BertResult:
    """What training found: of the answerable questions, the share whose answer was retrieved; held-out figures."""

    n_questions: int
    n_held_out: int
    recall: float
    validation_mrr: float
    calibration: BertCalibration
    seconds: float


def train_bert(
    kb: KnowledgeBase, examples: Sequence[QAExample], out: Path, config: BertTraining | None = None
) -> BertResult:
    """Train BERT for a knowledge base and write it to the folder `out`, replacing a ranker that is there.

    Raises: QuestionFileError when hardly any answer is in the knowledge base; TrainingError. Before any training,
    StorageError when `out` is neither absent, nor empty, nor a ranker; ModelError or MissingExtraError.
    """
    check_replaceable(out, RANKER_FILE)
    config, stages = config or BertTraining(), StageMetrics()
    with _seeded(config.seed):
        begin = _beginning(config)
        found = retrieve_examples(kb, examples)
        held = _held_out(len(found), config)
        rows = bert_rows(found, examples)
        shown, kept = ([r for r in rows if held[r.number] == of] for of in (False, True))
        if len(shown) < FEWEST or not kept:
            raise QuestionFileError(
                f"{len(examples)} questions, {len(rows)} of them with their answer in {kb.path}: too few to train on; "
                "give some hundred or more about its entities"
            )
        recall = float(np.mean([f.labels.any() for f in found if f.answerable]))
        stages.add("retrieve", n_questions=len(found), n_held_out=int(held.sum()), recall=recall)
        network = begin(found)
        train_network(network, shown, kept, config, stages)
    asked = [(f, e) for f, e, is_held in zip(found, examples, held, strict=True) if is_held]
    judged = judge_rows(network, kept)
    ranker = BertRanker(network, _calibrated(judged, [f for f, _ in asked]))
    mrr = _mrr(ranker, asked)
    stages.add("calibrate", validation_mrr=mrr, **asdict(ranker.calibration))
    result = BertResult(len(found), len(asked), recall, mrr, ranker.calibration, stages.seconds)
    data = {"questions_sha256": sha256_of(map(asdict, examples)), "result": asdict(result)}
    with replacing_folder(out, holds=RANKER_FILE) as folder:
        ranker.save(folder, training_record(asdict(config), data, PACKAGES))
        write_metrics(stages.rows, folder / "metrics.jsonl")
    return result


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed torch for a while; its state after it is that before it. Raises: MissingExtraError."""
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError("models", "torch") from error
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def _beginning(config: BertTraining) -> Callable[[Sequence[Retrieved]], BertNetwork]:
    """Open the encoder, or what makes a small one for the questions that are found. Raises: ModelError."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    if config.model != SCRATCH:
        _, tokenizer, encoder = open_encoder(config.model)
        network = BertNetwork.begin(tokenizer, encoder.to(device))
        return lambda _: network

    def small(found: Sequence[Retrieved]) -> BertNetwork:
        tokenizer = character_tokenizer(chain(*all_texts(found)))
        return BertNetwork.begin(tokenizer, small_bert(len(tokenizer), config.layers, config.width).to(device))

    return small


def _held_out(n: int, config: BertTraining) -> NDArray[np.bool_]:
    """Which of n questions are held out, (n,)."""
    n_stretches = min(n, STRETCHES)
    n_drawn = max(1, round(n_stretches * min(config.held_out_share, config.held_out / max(1, n))))
    drawn = np.random.default_rng(config.seed).permutation(n_stretches)[:n_drawn]
    held: NDArray[np.bool_] = np.isin(stretches(n, n_stretches), drawn)
    return held


def _calibrated(judged: Sequence[HeldOut], found: Sequence[Retrieved]) -> BertCalibration:
    """Fit both temperatures, and count how often a right triple was retrieved (Laplace's rule)."""
    present = (sum(bool(f.labels.any()) for f in found) + 1) / (len(found) + 2)
    mentions, attributes = [(h.mentions, h.gold) for h in judged], [(h.attributes, 0) for h in judged]
    return BertCalibration(_temperature(mentions), _temperature(attributes), present)


def _temperature(judged: Sequence[tuple[NDArray[np.float32], int]]) -> float:
    """The temperature at which the gold ones are likeliest.

    Reference: Guo et al. 2017, arXiv:1706.04599, section 4.2.
    """
    from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        return -float(np.mean([log_softmax(logits / np.exp(log_temperature))[gold] for logits, gold in judged]))

    return float(np.exp(minimize_scalar(loss, bounds=LOG_TEMPERATURES, method="bounded").x))


def _mrr(ranker: BertRanker, asked: Sequence[tuple[Retrieved, QAExample]]) -> float:
    """The mean reciprocal rank of the first right answer, over the answerable questions."""
    total = 0.0
    for f, example in tqdm(asked, desc="rank", unit="question", disable=None):
        _, probabilities = ranker.rank(f.question, f.mentions, f.triples)
        answers = [comparable(c.answer) for c in candidates_of(f.triples, probabilities, len(f.triples))]
        gold = set(map(comparable, example.answers))
        total += next((1 / rank for rank, answer in enumerate(answers, 1) if answer in gold), 0.0)
    return total / max(1, sum(f.answerable for f, _ in asked))
