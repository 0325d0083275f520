"""Test sets whose questions must not be trained on, known by fingerprints: five bytes of the SHA-256 of each question.

`scripts/fingerprint_questions.py` makes the files. Five bytes find a question that is none once in a hundred million.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from finetune.overlap import asked, refuse
from kbqa_agent.qa_data import read_questions

__all__ = ["fingerprint", "refuse_test_questions"]

FOLDER = Path(__file__).parent / "published"
BYTES = 5
TOLERATED = 20
"""The task's own training file has one question of its test file, so a few prove nothing."""


class Published(NamedTuple):
    """A published test set, and which published training file is known to contain it."""

    file: str
    name: str
    inside: str


TEST_SETS = (
    Published(
        "nlpcc-iccpol-2016-test.bin",
        "the test set of NLPCC-ICCPOL 2016",
        "the training file that was published for 2016 to 2018 (24,479 questions) contains all of it; train on that of "
        "2016 (14,609 questions)",
    ),
)


def fingerprint(question: str) -> bytes:
    """Shorten a question, in the form in which questions are compared, to `BYTES` bytes."""
    return hashlib.sha256(asked(question).encode()).digest()[:BYTES]


def refuse_test_questions(questions: Path, out: Path) -> None:
    """Make sure that a training file does not hold a published test set, or much of it.

    Those that it holds go to a file beside `out`. Raises: InputError, which names the test set and the training file
    that contains it; QuestionFileError.
    """
    examples = read_questions(questions)
    for test_set in TEST_SETS:
        known = _known(test_set.file)
        shared = [e for e in examples if fingerprint(e.question) in known]
        if len(shared) >= TOLERATED:
            what = f"{questions}: {len(shared):,} of its {len(examples):,} questions are in {test_set.name}"
            refuse(shared, what, out.with_name(f"{out.name}.overlap.tsv"), f"{test_set.inside}, or ")


@cache
def _known(file: str) -> frozenset[bytes]:
    data = (FOLDER / file).read_bytes()
    return frozenset(data[i : i + BYTES] for i in range(0, len(data), BYTES))


def to_bytes(questions: Sequence[str]) -> bytes:
    """The content of a file of fingerprints, sorted."""
    return b"".join(sorted({fingerprint(question) for question in questions}))
