"""Questions that a training file shares with one that is kept for evaluation: such a training is refused."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from kb_index.atomic import replacing_text
from kb_index.errors import InputError
from kbqa_agent.qa_data import comparable, read_questions
from kbqa_agent.types import QAExample

__all__ = ["asked", "refuse", "refuse_overlap", "refuse_taught"]

QUESTION_CUE = "问："
SHOWN = 3


def asked(text: str) -> str:
    r"""Take the question out of a prompt, or a question as it is, in the form in which questions are compared.

    >>> asked("【坛经】\n作者：惠能\n问：《坛经》是谁 写的？\n答："), asked("《坛经》是谁  写的？")
    ('《坛经》是谁 写的？', '《坛经》是谁 写的？')
    """
    cued = [line.removeprefix(QUESTION_CUE) for line in text.split("\n") if line.startswith(QUESTION_CUE)]
    return comparable(cued[-1] if cued else text)


def refuse_overlap(questions: Path, held_out: Path, listing: Path) -> None:
    """Make sure that no question of `held_out` is in `questions`; if one is, all such go to the file `listing`.

    Raises: InputError with how many there are and the first of them; QuestionFileError.
    """
    kept = {asked(example.question) for example in read_questions(held_out)}
    shared = [e for e in read_questions(questions) if asked(e.question) in kept]
    refuse(shared, f"{questions}: {len(shared)} of its questions are in {held_out} too", listing)


def refuse_taught(taught: Collection[str], training: str, held_out: Path, listing: Path) -> None:
    """Make sure that no question of `held_out` was `taught` before, in what the message calls `training`.

    Raises: as `refuse_overlap`.
    """
    shared = [e for e in read_questions(held_out) if asked(e.question) in taught]
    refuse(shared, f"{held_out}: {len(shared)} of its questions were in {training}", listing)


def refuse(shared: Sequence[QAExample], what: str, listing: Path, advice: str = "") -> None:
    """Refuse to train where questions are `shared`, and list them in a file; `advice` goes before that of taking out.

    Raises: InputError, StorageError.
    """
    if not shared:
        return
    with replacing_text(listing) as stream:
        stream.writelines(f"{example.id}\t{asked(example.question)}\n" for example in shared)
    first = ", ".join(f"{example.id} {asked(example.question)[:40]}" for example in shared[:SHOWN])
    more = ", ..." if len(shared) > SHOWN else ""
    raise InputError(f"{what} ({first}{more}); {advice}take out those listed in '{listing}'")
