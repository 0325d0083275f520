"""Feedback to a file, in one of three forms, and a line that says what is in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from finetune.feedback_rows import preferences_from_feedback, questions_from_feedback
from finetune.json_rows import write_rows
from finetune.preferences import write_preferences
from kb_index.errors import FeedbackError, StorageError
from kbqa_agent.feedback_records import FeedbackRecord, record_to_json
from kbqa_agent.qa_data import write_nlpcc

__all__ = ["export_feedback"]


def export_feedback(records: Sequence[FeedbackRecord], form: str, out: Path, replace: bool = False) -> str:
    """Write records as "preferences" (JSON lines), "questions" (NLPCC) or "records" (JSON lines), and say how many.

    Raises: FeedbackError when there is nothing to write, or `form` is another; StorageError when `out` cannot be
    written, or is there already and need not be replaced.
    """
    if out.exists() and not replace:
        raise StorageError(f"'{out}': there already; it is left as it is, choose another --out, or add --force")
    if form == "preferences":
        pairs = preferences_from_feedback(records)
        told = f"{len(pairs.pairs)} pairs"
        left_out = f"{pairs.n_without_pair} pieces name no better answer, of {pairs.n_unsupported} no triple says it"
        _require(pairs.pairs, records, left_out)
        write_preferences(pairs.pairs, out)
    elif form == "questions":
        questions = questions_from_feedback(records)
        told = f"{len(questions.examples)} questions"
        left_out = f"on {questions.n_open} questions people do not agree on an answer"
        _require(questions.examples, records, left_out)
        write_nlpcc(questions.examples, out)
    elif form == "records":
        told, left_out = f"{len(records)} records", "nothing left out"
        _require(records, records, left_out)
        write_rows((record_to_json(record) for record in records), out)
    else:
        raise FeedbackError(f"form {form!r}: expected 'preferences', 'questions' or 'records'")
    return f"{out}: {told} from {len(records)} pieces of feedback; {left_out}"


def _require(found: Sequence[object], records: Sequence[FeedbackRecord], left_out: str) -> None:
    if not found:
        raise FeedbackError(
            f"{len(records)} pieces of feedback, and nothing to export ({left_out}); give more feedback"
        )
