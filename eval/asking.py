"""Asking every question of an evaluation: together, in the file's order, and each only once, also after a kill.

Questions are asked together (`ask_many`), but for those that are asked without what they ask for.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import Protocol

from tqdm import tqdm

from eval.ceiling import HomonymLookup
from eval.journal import Journal
from eval.results import Row
from eval.rows import row_of
from eval.unanswerable import GIVEN, Blinded
from kb_index.errors import QuestionError
from kbqa_agent.types import Answer, QAExample

__all__ = ["Evaluated", "Seeing", "ask_all"]

logger = logging.getLogger(__name__)


class Evaluated(Protocol):
    """What is evaluated: anything that answers questions from a knowledge base; for `unanswerable` a `KBQAgent`."""

    @property
    def kb(self) -> HomonymLookup:
        """The knowledge base that the ceiling is computed over."""

    def check(self, question: str) -> None:
        """Find out whether a question can be asked. Raises: QuestionError."""

    def ask_many(self, questions: Sequence[str]) -> Iterator[Answer]:
        """Answer questions in their order."""


class Seeing:
    """An agent that sees all of its knowledge base."""

    def __init__(self, agent: Evaluated) -> None:
        self.agent = agent

    def kind(self, example: QAExample) -> str | None:
        """Say why a question has no answer: none is in its file; None where it has one."""
        return None if example.answers else GIVEN

    def ask_many(self, examples: Sequence[QAExample]) -> Iterator[Answer]:
        """Answer the questions of the examples."""
        return self.agent.ask_many([example.question for example in examples])


def ask_all(
    agent: Blinded | Seeing, examples: Sequence[QAExample], out: Path, key: str | None
) -> tuple[list[Row], float]:
    """Ask every question, and give the rows with the seconds that the answers took.

    With a key, those that are in the journal of that key in `out` are not asked again. Raises: StorageError.
    """
    if key is None:
        asked = list(_asked(agent, examples))
        return [row for _, row in asked], sum(seconds for seconds, _ in asked)
    journal = Journal(out, key)
    found = journal.read()
    if found:
        logger.warning("%s: %d of %d questions were answered before; going on", out, len(found), len(examples))
    with journal.adding():
        try:
            for seconds, row in _asked(agent, examples, len(found)):
                journal.add(seconds, row)
                found.append((seconds, row))
        except KeyboardInterrupt:
            logger.warning("%s: %d of %d answers are kept; the same command goes on", out, len(found), len(examples))
            raise
    return [row for _, row in found], sum(seconds for seconds, _ in found)


def _asked(agent: Blinded | Seeing, examples: Sequence[QAExample], n_before: int = 0) -> Iterator[tuple[float, Row]]:
    left = examples[n_before:]
    answers = _answers(agent, left)
    with tqdm(total=len(examples), initial=n_before, desc="eval", unit="question", disable=None) as bar:
        for example in left:
            started = perf_counter()
            answer = next(answers)
            seconds = perf_counter() - started
            removed = {"removed": agent.kind(example)} if isinstance(agent, Blinded) else {}
            yield seconds, row_of(example, answer, removed)
            bar.update()


def _answers(agent: Blinded | Seeing, examples: Sequence[QAExample]) -> Iterator[Answer]:
    """Answer the examples in their order; a question that cannot be asked counts as unanswered."""
    refused = {example.id: error for example in examples if (error := _refusal(agent, example))}
    answers = agent.ask_many([example for example in examples if example.id not in refused])
    for example in examples:
        if error := refused.get(example.id):
            logger.warning("id %s: %s; counted as unanswered", example.id, error)
            yield Answer(example.question, None, 0.0, "no_entity", (), ())
        else:
            yield next(answers)


def _refusal(agent: Blinded | Seeing, example: QAExample) -> QuestionError | None:
    try:
        agent.agent.check(example.question)
    except QuestionError as error:
        return error
    return None
