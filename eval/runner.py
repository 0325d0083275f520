"""Ask every question of a file and write down everything: rows, predictions, report and pictures.

Questions are asked together (`ask_many`), but for those that are asked without what they ask for, and written in the
file's order. An interrupted evaluation leaves no half-written file.
"""

from __future__ import annotations

import json
import logging
import platform
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np
from tqdm import tqdm

from eval.ceiling import HomonymLookup, oracle_rows
from eval.figures import Asked, calibration_of, confidence_figures, expectation_figures, means
from eval.metrics import question_scores, ranked_answers
from eval.official import official_answers, write_predictions
from eval.plots import write_plots
from eval.ranking import first_rank
from eval.report import Report, SystemInfo, write_report
from eval.unanswerable import GIVEN, Blinded, judge, silence_figures
from kb_index.atomic import check_replaceable, replacing_text
from kb_index.errors import MissingExtraError, QuestionError, QuestionFileError
from kbqa_agent.answer_forms import answer_to_json
from kbqa_agent.qa_data import comparable, draw
from kbqa_agent.types import Answer, QAExample

if TYPE_CHECKING:
    from kbqa_agent.agent import KBQAgent

__all__ = ["EvalOptions", "Evaluated", "evaluate"]

logger = logging.getLogger(__name__)

_MEASURING = ("kbqa", "numpy", "sacrebleu", "rouge-score")
_LOOK_UPS = ("duckdb", "faiss-cpu", "lightgbm", "marisa-trie", "model2vec")
_MODELS = ("torch", "transformers", "peft")
_EXTRAS = {"sacrebleu": "sacrebleu", "rouge_score": "rouge-score", "matplotlib": "matplotlib"}


class Evaluated(Protocol):
    """What is evaluated: anything that answers questions from a knowledge base; for `unanswerable` a `KBQAgent`."""

    @property
    def kb(self) -> HomonymLookup:
        """The knowledge base that the ceiling is computed over."""

    def check(self, question: str) -> None:
        """Find out whether a question can be asked. Raises: QuestionError."""

    def ask_many(self, questions: Sequence[str]) -> Iterator[Answer]:
        """Answer questions in their order."""


@dataclass(frozen=True, slots=True)
class EvalOptions:
    """How to evaluate: draw `limit` questions at random (all if None), with `seed`, and what to call the system.

    `unanswerable` asks a random half of them without what they ask for (`eval.unanswerable`). `expected_share` is the
    share of answerable questions that the agent's confidences are said for, if there is one.
    """

    limit: int | None = None
    seed: int = 0
    resamples: int = 1000
    unanswerable: bool = False
    expected_share: float | None = None
    system: SystemInfo = SystemInfo()  # noqa: RUF009 - frozen, so the shared default cannot change


def evaluate(agent: Evaluated, examples: Sequence[QAExample], out: Path, options: EvalOptions | None = None) -> Report:
    """Ask the questions and write per_question.jsonl, predictions.nlpcc, report.json, report.md and plots/ into `out`.

    Raises: QuestionFileError without a question, StorageError, MissingExtraError.
    """
    _require_extras()
    check_replaceable(out, holds="per_question.jsonl")
    options = options or EvalOptions()
    examples = draw(examples, options.limit, options.seed)
    if not examples:
        raise QuestionFileError("no question to evaluate; expected at least one, give a file that has some")
    blinded = Blinded(cast("KBQAgent", agent), examples, options.seed) if options.unanswerable else None
    examples = blinded.examples if blinded else examples
    asked, seconds = _ask_all(blinded or _Seeing(agent), examples, out / "per_question.jsonl")
    write_predictions(
        examples, {e.id: a.handed_in for e, a in zip(examples, asked, strict=True)}, out / "predictions.nlpcc"
    )
    report = _report(agent, examples, asked, seconds, options)
    write_report(report, out)
    write_plots(
        report,
        calibration_of(asked),
        [a.rank for a, e in zip(asked, examples, strict=True) if e.answers],
        out / "plots",
    )
    return report


def _require_extras() -> None:
    """Find out before the first question, not after the last, that a package is missing. Raises: MissingExtraError."""
    for module, package in _EXTRAS.items():
        if find_spec(module) is None:
            raise MissingExtraError("eval", package)


class _Seeing:
    """An agent that sees all of its knowledge base."""

    def __init__(self, agent: Evaluated) -> None:
        self.agent = agent

    def kind(self, example: QAExample) -> str | None:
        return None if example.answers else GIVEN

    def ask_many(self, examples: Sequence[QAExample]) -> Iterator[Answer]:
        return self.agent.ask_many([example.question for example in examples])


def _ask_all(agent: Blinded | _Seeing, examples: Sequence[QAExample], path: Path) -> tuple[list[Asked], float]:
    asked, seconds = [], 0.0
    answers = _answers(agent, examples)
    with replacing_text(path) as stream:
        for example in tqdm(examples, desc="eval", unit="question", disable=None):
            started = perf_counter()
            answer = next(answers)
            seconds += perf_counter() - started
            kind = agent.kind(example)
            removed = {"removed": kind} if isinstance(agent, Blinded) else {}
            row = {"id": example.id, "gold": list(example.answers), **removed, **answer_to_json(answer)}
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")
            asked.append(_asked(example, kind, answer))
    return asked, seconds


def _answers(agent: Blinded | _Seeing, examples: Sequence[QAExample]) -> Iterator[Answer]:
    """Answer the examples in their order; a question that cannot be asked counts as unanswered."""
    refused = {example.id: error for example in examples if (error := _refusal(agent, example))}
    answers = agent.ask_many([example for example in examples if example.id not in refused])
    for example in examples:
        if error := refused.get(example.id):
            logger.warning("id %s: %s; counted as unanswered", example.id, error)
            yield Answer(example.question, None, 0.0, "no_entity", (), ())
        else:
            yield next(answers)


def _refusal(agent: Blinded | _Seeing, example: QAExample) -> QuestionError | None:
    try:
        agent.agent.check(example.question)
    except QuestionError as error:
        return error
    return None


def _asked(example: QAExample, kind: str | None, answer: Answer) -> Asked:
    return Asked(
        scores=question_scores(example, answer),
        handed_in=official_answers(answer),
        confidence=float(answer.confidence),
        total=min(1.0, sum(float(c.score) for c in answer.candidates)),
        abstained=answer.text is None,
        rank=first_rank(ranked_answers(answer), set(map(comparable, example.answers))),
        judged=judge(example, kind, answer),
    )


def _report(
    agent: Evaluated, examples: Sequence[QAExample], asked: Sequence[Asked], seconds: float, options: EvalOptions
) -> Report:
    how = (options.resamples, options.seed)
    metrics, intervals = means(np.array([a.scores for a in asked], dtype=np.float64), *how)
    oracle = oracle_rows(agent.kb, examples)
    ceiling, ceiling_intervals = means(oracle, *how) if len(oracle) else (None, None)
    return Report(
        n_questions=len(asked),
        seconds=seconds,
        questions_per_second=len(asked) / seconds if seconds else 0.0,
        system=_described(options.system),
        metrics=metrics,
        ceiling=ceiling,
        confidence_intervals=intervals,
        ceiling_intervals=ceiling_intervals,
        risk_coverage=confidence_figures(asked, *how),
        answerable=expectation_figures(asked, options.expected_share, *how) if options.expected_share else None,
        unanswerable=silence_figures([a.judged for a in asked], *how) if options.unanswerable else None,
    )


def _described(system: SystemInfo) -> SystemInfo:
    return replace(
        system, versions=system.versions or _versions(), git_commit=system.git_commit or _git_commit(Path(__file__))
    )


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for name in _MEASURING + _LOOK_UPS + _MODELS:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _git_commit(file: Path) -> str | None:
    """Name the commit of the checkout that tracks `file`, marked where it has changes; None outside of one."""
    for command in (
        ["ls-files", "--error-unmatch", file.name],
        ["describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
    ):
        try:
            done = subprocess.run(["git", *command], cwd=file.parent, capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            return None
    return done.stdout.strip()
