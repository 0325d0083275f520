"""A question file and an index -> a file of training rows, with the triples that `ask` would inject."""

from __future__ import annotations

from pathlib import Path

from tqdm import tqdm

from finetune.data import RowOptions, rows_from_questions
from kb_index.errors import InputError
from kbqa_agent.agent import KBQAgent
from kbqa_agent.qa_data import draw, read_questions, write_text2text

__all__ = ["training_rows"]


def training_rows(
    questions: Path, out: Path, index: Path | None, options: RowOptions, limit: int | None = None
) -> Path:
    """Write rows for `limit` random questions (all if None) to the text2text file `out`, and give the file to train on.

    Without an index the prompts hold no triples; a text2text file is then trained on as it stands.

    Raises: QuestionFileError, IndexFolderError; InputError where neither an index nor closed-book rows are asked for.
    """
    examples = read_questions(questions)
    as_it_stands = questions.suffix == ".json" and not options.closed_book
    if index is None and as_it_stands and limit is None:
        return questions
    if index is None and not options.closed_book:
        raise InputError(f"{questions}: expected an --index whose triples go into the prompts, or --closed-book")
    drawn = draw(examples, limit, options.seed)
    if index is None or options.closed_book:
        rows = rows_from_questions(drawn, lambda _: (), options)
    else:
        with KBQAgent.open(index, model="none") as agent:
            bar = tqdm(drawn, "retrieve", unit="question", disable=None)
            rows = rows_from_questions(bar, lambda q: agent.best_triples(q, options.max_triples), options)
    write_text2text(rows, out)
    return out
