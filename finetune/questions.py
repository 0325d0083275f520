"""A question file and an index -> a file of training rows, with the triples that `ask` would inject."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from finetune.data import RowOptions, rows_from_questions
from finetune.processes import is_main, main_first
from finetune.training_folder import check_training_folder
from kb_index.errors import InputError
from kbqa_agent.agent import KBQAgent
from kbqa_agent.qa_data import detect_format, draw, read_questions
from kbqa_agent.text2text import Text2TextRow, read_text2text, write_text2text
from kbqa_agent.types import QAExample

__all__ = ["sample_rows", "training_rows"]

SAMPLE = 300
UNLIMITED = 1 << 40


def training_rows(
    questions: Path, out: Path, index: Path | None, options: RowOptions, limit: int | None = None
) -> Path:
    """Write rows for `limit` random questions (all if None) to the text2text file `out`, and give the file to train on.

    `out` lies in the folder of the training that follows.

    The rows of a text2text file stay as they are, whatever `index` and `options` say; other questions get prompts with
    triples of the index, or closed-book ones without.

    Raises: QuestionFileError, IndexFolderError; InputError where neither an index nor closed-book rows are asked for;
    StorageError where the folder of `out` holds other things than a training.
    """
    check_training_folder(out.parent)
    if limit is None and detect_format(questions) == "text2text":
        return questions
    with main_first():
        if is_main():
            write_text2text(_drawn_rows(questions, index, options, limit), out)
    return out


def sample_rows(
    questions: Path, index: Path | None, options: RowOptions, limit: int | None = None
) -> tuple[list[Text2TextRow], int]:
    """Make rows as `training_rows` would, of at most `SAMPLE` questions where triples are needed, and count all.

    Raises: as `training_rows`.
    """
    n_rows = min(len(read_questions(questions)), limit or UNLIMITED)
    few = limit if index is None or options.closed_book else min(n_rows, SAMPLE)
    rows = _drawn_rows(questions, index, options, few)
    return rows, n_rows if few is not None and few < n_rows else len(rows)


def _drawn_rows(questions: Path, index: Path | None, options: RowOptions, limit: int | None) -> list[Text2TextRow]:
    if detect_format(questions) == "text2text":
        return draw(read_text2text(questions), limit, options.seed)
    if index is None and not options.closed_book:
        raise InputError(f"{questions}: expected an --index whose triples go into the prompts, or --closed-book")
    return _rows(draw(read_questions(questions), limit, options.seed), index, options)


def _rows(examples: Sequence[QAExample], index: Path | None, options: RowOptions) -> list[Text2TextRow]:
    if index is None or options.closed_book:
        return rows_from_questions(examples, lambda _: (), options)
    with KBQAgent.open(index, model="none") as agent:
        bar = tqdm(examples, "retrieve", unit="question", disable=None)
        return rows_from_questions(bar, lambda q: agent.best_triples(q, options.max_triples), options)
