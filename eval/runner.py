"""Ask every question of a file and write down everything: rows, predictions, report and pictures.

An evaluation that is killed goes on where it was, and leaves no half-written file. All figures are computed from the
rows as they are written.
"""

from __future__ import annotations

import json
import logging
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.asking import Evaluated, Seeing, ask_all
from eval.ceiling import oracle_rows
from eval.corpus import told_bleu_row
from eval.errors import error_figures, error_groups
from eval.figures import Asked, calibration_of, confidence_figures, expectation_figures, metric_figures
from eval.identity import answers_key
from eval.illustrated import illustrate_one, name_of
from eval.journal import Journal
from eval.metrics import METRICS, question_scores, ranked_answers
from eval.official import official_answers, write_predictions
from eval.plots import report_figures
from eval.ranking import first_rank
from eval.report import Report, SystemInfo, write_report
from eval.results import Evaluation, Row, SystemResult
from eval.rows import answer_of, read_rows
from eval.unanswerable import Blinded, judge, silence_figures
from kb_index.atomic import check_replaceable, replacing_text
from kb_index.errors import InputError, MissingExtraError, QuestionFileError
from kb_index.manifest import describe_file
from kbqa_agent.agent import KBQAgent
from kbqa_agent.qa_data import comparable, draw
from kbqa_agent.types import QAExample

__all__ = ["EvalOptions", "described", "evaluate"]

logger = logging.getLogger(__name__)

FOUND_IN_ITS_INDEX = 0.5
ROWS, REPORT = "per_question.jsonl", "report.json"
_MEASURING = ("kbqa", "numpy", "sacrebleu", "rouge-score")
_LOOK_UPS = ("duckdb", "faiss-cpu", "lightgbm", "marisa-trie", "model2vec")
_MODELS = ("torch", "transformers", "peft")
_EXTRAS = {"sacrebleu": "sacrebleu", "rouge_score": "rouge-score", "matplotlib": "matplotlib", "tabulate": "tabulate"}


@dataclass(frozen=True, slots=True)
class EvalOptions:
    """How to evaluate: draw `limit` questions at random (all if None), with `seed`, and what to call the system.

    `unanswerable` asks a random half of them without what they ask for (`eval.unanswerable`). `expected_share` is the
    share of answerable questions that the agent's confidences are said for, if there is one. `reuse` reads the answers
    that an evaluation of the same agent and questions left in the same folder, in place of asking. `errors` groups the
    failures (`eval.errors`), and shows so many of each group.
    """

    limit: int | None = None
    seed: int = 0
    resamples: int = 1000
    unanswerable: bool = False
    expected_share: float | None = None
    reuse: bool = False
    errors: int | None = None
    system: SystemInfo = SystemInfo()  # noqa: RUF009 - frozen, so the shared default cannot change


def evaluate(
    agent: Evaluated, examples: Sequence[QAExample], out: Path, options: EvalOptions | None = None
) -> Evaluation:
    """Ask the questions and write per_question.jsonl, predictions.nlpcc, report.json, .md, .html and plots/ into `out`.

    Of a `KBQAgent`, what an evaluation that was ended early has asked is not asked again.

    Raises: QuestionFileError without a question, InputError, StorageError, MissingExtraError.
    """
    _require_extras()
    if not Journal.is_in(out):
        check_replaceable(out, holds=ROWS)
    options = options or EvalOptions()
    examples = draw(examples, options.limit, options.seed)
    if not examples:
        raise QuestionFileError("no question to evaluate; expected at least one, give a file that has some")
    key: str | None = None
    seeing: Seeing | Blinded = Seeing(agent)
    if isinstance(agent, KBQAgent):
        key = answers_key(agent, examples, options.seed if options.unanswerable else None)
        seeing = Blinded(agent, examples, options.seed) if options.unanswerable else seeing
    elif options.unanswerable:
        raise InputError("unanswerable questions are made for a KBQAgent only; leave them out")
    examples = seeing.examples if isinstance(seeing, Blinded) else examples
    reused = _reused(out, key, examples) if options.reuse else None
    rows, seconds = reused[:2] if reused else ask_all(seeing, examples, out, key)
    asked = [_judged(e, seeing.kind(e), row) for e, row in zip(examples, rows, strict=True)]
    with replacing_text(out / ROWS) as stream:
        stream.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    handed_in = {e.id: a.handed_in for e, a in zip(examples, asked, strict=True)}
    write_predictions(examples, handed_in, out / "predictions.nlpcc")
    answered_by = reused[2] if reused else {"versions": _versions(), "git_commit": _git_commit(Path(__file__))}
    system = replace(options.system, **answered_by, key=key, rows_sha256=describe_file(out / ROWS).sha256)
    report = _report(agent, examples, asked, seconds, replace(options, system=system))
    if n_partial := sum(bool(row.get("partial")) for row in rows):
        logger.warning("%d answers did without shards of the index that are missing", n_partial)
        report = replace(report, n_partial=n_partial)
    ranks = [a.rank for a, e in zip(asked, examples, strict=True) if e.answers]
    if options.errors:
        groups = error_groups(examples, rows, agent.kb)
        report = replace(report, errors=error_figures(examples, rows, groups, options.errors, options.seed))
    result = SystemResult(name_of(report.system), report, rows)
    illustrate_one(result, examples, agent.kb, report_figures(report, calibration_of(asked), ranks), out)
    write_report(report, out)
    if key:
        Journal(out, key).done()
    return Evaluation(report, rows, np.array([a.scores for a in asked]))


def _reused(
    out: Path, key: str | None, examples: Sequence[QAExample]
) -> tuple[list[Row], float, dict[str, Any]] | None:
    """The rows that an evaluation with this key left whole, their seconds, and what they were made with; or None."""
    try:
        report = json.loads((out / REPORT).read_text(encoding="utf-8"))
        system = report["system"]
        if key is None or system["key"] != key or system["rows_sha256"] != describe_file(out / ROWS).sha256:
            return None
        rows, made_with = read_rows(out / ROWS, examples), {name: system[name] for name in ("versions", "git_commit")}
        logger.info("%s: %d answers read, not asked again, of commit %s", out, len(rows), made_with["git_commit"])
        return rows, float(report["seconds"]), made_with
    except (OSError, ValueError, KeyError, TypeError, QuestionFileError):
        return None


def _require_extras() -> None:
    """Find out before the first question, not after the last, that a package is missing. Raises: MissingExtraError."""
    for module, package in _EXTRAS.items():
        if find_spec(module) is None:
            raise MissingExtraError("eval", package)


def _judged(example: QAExample, kind: str | None, row: Row) -> Asked:
    answer = answer_of(row)
    return Asked(
        scores=question_scores(example, answer),
        bleu=told_bleu_row(answer.text, example.answers),
        handed_in=official_answers(answer),
        confidence=answer.confidence,
        total=min(1.0, sum(c.score for c in answer.candidates)),
        abstained=answer.text is None,
        rank=first_rank(ranked_answers(answer), set(map(comparable, example.answers))),
        judged=judge(example, kind, answer),
    )


def _report(
    agent: Evaluated, examples: Sequence[QAExample], asked: Sequence[Asked], seconds: float, options: EvalOptions
) -> Report:
    how = (options.resamples, options.seed)
    metrics, intervals = metric_figures(np.array([a.scores for a in asked]), np.array([a.bleu for a in asked]), *how)
    oracle = oracle_rows(agent.kb, examples)
    _warn_of_other_index(oracle[0])
    ceiling, ceiling_intervals = metric_figures(*oracle, *how) if len(oracle[0]) else (None, None)
    return Report(
        n_questions=len(asked),
        seconds=seconds,
        questions_per_second=len(asked) / seconds if seconds else 0.0,
        system=described(options.system),
        metrics=metrics,
        ceiling=ceiling,
        confidence_intervals=intervals,
        ceiling_intervals=ceiling_intervals,
        risk_coverage=confidence_figures(asked, *how),
        answerable=expectation_figures(asked, options.expected_share, *how) if options.expected_share else None,
        unanswerable=silence_figures([a.judged for a in asked], *how) if options.unanswerable else None,
    )


def _warn_of_other_index(oracle: NDArray[np.float64]) -> None:
    """Say so where an oracle finds few of the gold answers in the index."""
    found = int((oracle[:, METRICS.index("mrr")] > 0).sum()) if len(oracle) else 0
    if found < FOUND_IN_ITS_INDEX * len(oracle):
        logger.warning(
            "%d of %d gold triples are in the index; expected most of them: are the questions about this index?",
            found,
            len(oracle),
        )


def described(system: SystemInfo) -> SystemInfo:
    """Add the versions that run, and the commit of this checkout, where they are not said."""
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
