"""A question file and an index -> a file of training rows, with the triples that `ask` would inject."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from finetune.data import RowOptions, rows_from_questions
from finetune.training_folder import check_training_folder
from kb_index.errors import InputError
from kbqa_agent.agent import KBQAgent
from kbqa_agent.qa_data import detect_format, draw, read_questions
from kbqa_agent.text2text import Text2TextRow, read_text2text, write_text2text
from kbqa_agent.types import QAExample

__all__ = ["training_rows"]


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
    if detect_format(questions) == "text2text":
        if limit is None:
            return questions
        rows = draw(read_text2text(questions), limit, options.seed)
    elif index is None and not options.closed_book:
        raise InputError(f"{questions}: expected an --index whose triples go into the prompts, or --closed-book")
    else:
        rows = _rows(draw(read_questions(questions), limit, options.seed), index, options)
    write_text2text(rows, out)
    return out


def _rows(examples: Sequence[QAExample], index: Path | None, options: RowOptions) -> list[Text2TextRow]:
    if index is None or options.closed_book:
        return rows_from_questions(examples, lambda _: (), options)
    with KBQAgent.open(index, model="none") as agent:
        bar = tqdm(examples, "retrieve", unit="question", disable=None)
        return rows_from_questions(bar, lambda q: agent.best_triples(q, options.max_triples), options)
