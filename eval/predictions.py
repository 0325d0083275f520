"""Scoring a file of predictions by itself, as the official scorer does: no index, no agent, no candidates.

Ids are unique in both files. Every id of the question file counts, and one that the predictions leave out counts as 0;
predictions for other ids are ignored. The answers of an id are a set to the averaged F1s; the first one is what exact
match and the text metrics look at.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite, nan
from pathlib import Path

import numpy as np

from eval.corpus import told_bleu_row
from eval.figures import metric_figures
from eval.metrics import JUDGED, TOLD, told_scores
from eval.official import community_form
from eval.report import SystemInfo, write_json
from eval.runner import ROWS, described
from kb_index.atomic import check_replaceable, replacing_text
from kb_index.errors import QuestionFileError, StorageError
from kbqa_agent.qa_data import read_questions
from kbqa_agent.types import QAExample

__all__ = ["PredictionsReport", "predictions_markdown", "score_predictions"]

logger = logging.getLogger(__name__)

MOST_STRANGE = 0.5
"""Predictions of which a larger share has unknown ids, or names another question, are those of another file."""


@dataclass(frozen=True, slots=True)
class PredictionsReport:
    """The figures of a file of predictions; the fields are the keys of its `report.json`.

    `predictions` counts the ids of that file: `n`, `missing` (of the question file, left out here), `unknown` (not in
    the question file). `metrics` are those that need no candidates.
    """

    n_questions: int
    questions_file: str
    predictions_file: str
    predictions: Mapping[str, int]
    system: SystemInfo
    metrics: Mapping[str, float]
    confidence_intervals: Mapping[str, tuple[float, float]]


def score_predictions(
    questions: Path,
    predictions: Path,
    out: Path,
    format: str = "auto",  # noqa: A002 - named as the option --format
    seed: int = 0,
    resamples: int = 1000,
) -> PredictionsReport:
    """Score a file of predictions and write report.json and report.md into `out`.

    `format` is that of the questions; the predictions' is looked for. Raises: QuestionFileError where a file cannot be
    read, no question has an answer, or the predictions are those of another file; StorageError; MissingExtraError.
    """
    check_replaceable(out, holds="report.json")
    if (out / ROWS).exists():
        raise StorageError(f"'{out}': holds the report of an evaluation; it is left as it is, choose another folder")
    examples = read_questions(questions, format)
    if not any(e.answers for e in examples):
        raise QuestionFileError(
            f"{questions}: none of its {len(examples)} questions has an answer; expected gold answers to score by"
        )
    predicted = {e.id: e for e in read_questions(predictions)}
    counts = _checked(examples, predicted, questions, predictions)
    bleu = np.array([told_bleu_row(_first(predicted.get(e.id)), e.answers) for e in examples])
    scores = np.array([_scores(e, predicted.get(e.id)) for e in examples])
    metrics, intervals = metric_figures(scores, bleu, resamples, seed, TOLD)
    files = (str(questions), str(predictions))
    report = PredictionsReport(len(examples), *files, counts, described(SystemInfo()), metrics, intervals)
    write_json(asdict(report), out / "report.json")
    with replacing_text(out / "report.md") as stream:
        stream.write(predictions_markdown(report))
    return report


def predictions_markdown(report: PredictionsReport) -> str:
    """Render the figures as Markdown: what was scored, then a table with the 95 % intervals."""
    counts = report.predictions
    lines = [
        "# Predictions",
        "",
        f"{report.n_questions} questions of {report.questions_file}; {counts['n']} predictions of "
        f"{report.predictions_file}, {counts['missing']} ids left out (they count as 0), {counts['unknown']} unknown.",
        "",
        "| metric | value | 95 % interval |",
        "|---|---:|---:|",
        *(
            f"| {name} | {_text(v)} | {_interval(report.confidence_intervals[name])} |"
            for name, v in report.metrics.items()
        ),
    ]
    return "\n".join(lines) + "\n"


def _checked(
    examples: Sequence[QAExample], predicted: Mapping[str, QAExample], questions: Path, predictions: Path
) -> dict[str, int]:
    """Count what does not fit. Raises: QuestionFileError where most does not."""
    known = {e.id: e.question for e in examples}
    shared = [e for e in predicted.values() if e.id in known]
    unknown, missing = len(predicted) - len(shared), len(known) - len(shared)
    if unknown > MOST_STRANGE * len(predicted):
        raise QuestionFileError(
            f"{predictions}: {unknown} of its {len(predicted)} ids are not among the {len(known)} of {questions}; "
            "expected predictions for these questions, give the file that belongs to them"
        )
    # Some systems write the questions in lower case.
    others = sum(community_form(e.question) != community_form(known[e.id]) for e in shared)
    if others > MOST_STRANGE * len(shared):
        raise QuestionFileError(
            f"{predictions}: {others} of the {len(shared)} ids that it shares with {questions} have another question "
            "there; expected predictions for these questions, give the file that belongs to them"
        )
    for n, text in (
        (missing, "have no prediction; they count as 0"),
        (unknown, "of the predictions are unknown; they are ignored"),
        (others, "have another question in the predictions; they are scored all the same"),
    ):
        if n:
            logger.warning("%s: %d ids %s", predictions, n, text)
    return {"n": len(predicted), "missing": missing, "unknown": unknown}


def _scores(example: QAExample, prediction: QAExample | None) -> tuple[float, ...]:
    if prediction is None and not example.answers:  # silence is right there, but the official scorer wants every id
        return (0.0,) * len(JUDGED) + (nan,) * (len(TOLD) - len(JUDGED))
    return told_scores(prediction.answers if prediction else (), _first(prediction), example.answers)


def _first(prediction: QAExample | None) -> str | None:
    return next(iter(prediction.answers), None) if prediction else None


def _text(value: float) -> str:
    return f"{value:.4f}" if isfinite(value) else "–"


def _interval(ends: Sequence[float]) -> str:
    return " – ".join(map(_text, ends))
