"""The official score of NLPCC-ICCPOL 2016 KBQA, and the file of predictions that its scorer reads.

The score is averaged over the ids of the question file: a question without a prediction counts as 0, and predictions
for other ids are ignored. When two strings are equal is a choice that published scores make differently; `FORMS` has
three.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import accumulate
from pathlib import Path

from kbqa_agent.qa_data import comparable, read_questions, write_nlpcc
from kbqa_agent.types import Answer, QAExample

__all__ = [
    "FORMS",
    "averaged_f1",
    "community_form",
    "f1_of",
    "official_answers",
    "read_predictions",
    "set_f1",
    "write_predictions",
]


def community_form(answer: str) -> str:
    """Lower the case and drop all white space, as scorers that come with systems for this task do before they compare.

    >>> community_form("Visual C++ 6.0 ")
    'visualc++6.0'

    Reference: github.com/huangxiangzhou/NLPCC2016KBQA, calF1.py (commit 3f26b13), whose splitting of answers at " | "
    is left out: it would split 4 of the 9,870 test answers.
    """
    return "".join(answer.lower().split())


FORMS: Mapping[str, Callable[[str], str]] = {"f1": comparable, "f1_strict": str, "f1_community": community_form}
"""The averaged F1s of a report, and the form in which each compares answers; `str` leaves them as they stand."""


def set_f1(predicted: Collection[str], gold: Collection[str]) -> float:
    """Return F1 = 2PR / (P + R) of two sets of answers; two empty sets agree (1.0).

    >>> set_f1(["李白"], ["李白"]), set_f1(["李白", "杜甫"], ["李白"]), set_f1([], ["李白"]), set_f1([], [])
    (1.0, 0.6666666666666666, 0.0, 1.0)

    Reference: Duan 2016, Overview of the NLPCC-ICCPOL 2016 Shared Task: Open Domain Chinese Question Answering.
    """
    left, right = set(predicted), set(gold)
    if not left and not right:
        return 1.0
    return 2 * len(left & right) / (len(left) + len(right))


def f1_of(predicted: Iterable[str], gold: Iterable[str], name: str = "f1") -> float:
    r"""Return `set_f1` of answers in the form that `FORMS` has for this score.

    >>> [f1_of(["WAR and Peace"], ["War\u00a0and peace"], name) for name in ("f1_strict", "f1", "f1_community")]
    [0.0, 0.0, 1.0]
    """
    form = FORMS[name]
    return set_f1(set(map(form, predicted)), set(map(form, gold)))


def averaged_f1(predictions: Mapping[str, Collection[str]], examples: Sequence[QAExample], name: str = "f1") -> float:
    """Return the mean of `f1_of` over all examples; an id that is not in `predictions` counts as 0.

    >>> averaged_f1({"1": ("李白",)}, [QAExample("1", "?", ("李白",)), QAExample("2", "?", ("杜甫",))])
    0.5
    """
    if not examples:
        return 0.0
    total = sum(f1_of(predictions[e.id], e.answers, name) for e in examples if e.id in predictions)
    return total / len(examples)


def official_answers(answer: Answer, most: int = 2) -> tuple[str, ...]:
    """Choose how many of an answer's candidates to hand in: those that make the expected F1 largest, at most `most`.

    With one gold answer and probabilities p1, p2, ... of being it, handing in the first k is worth
    2 / (k + 1) x (p1 + ... + pk): p1 alone, 2/3 (p1 + p2) for two. So the second pays when p2 > p1 / 2. An answer that
    is no candidate is handed in alone, and nothing is when the agent abstains.
    """
    if answer.text is None:
        return ()
    # Written in reverse, so that of equal answers the better one's probability stays.
    probabilities = {c.answer: c.score for c in reversed(answer.candidates)}
    if answer.text not in probabilities:
        return (answer.text,)
    ranked = list(dict.fromkeys([answer.text, *(c.answer for c in answer.candidates)]))[:most]
    sums = accumulate(probabilities[text] for text in ranked)
    expected = [2 / (count + 1) * total for count, total in enumerate(sums, 1)]
    return tuple(ranked[: expected.index(max(expected)) + 1])


def write_predictions(questions: Iterable[QAExample], predictions: Mapping[str, Sequence[str]], path: Path) -> None:
    """Write every question once with its predicted answers, separated by tabs; none leaves the line empty.

    Raises: StorageError.
    """
    rows = (QAExample(q.id, q.question, tuple(predictions.get(q.id, ()))) for q in questions)
    write_nlpcc(rows, path)


def read_predictions(path: Path) -> dict[str, tuple[str, ...]]:
    """Read a file of predictions: id -> answers. Raises: QuestionFileError."""
    return {example.id: example.answers for example in read_questions(path, "nlpcc")}
