"""The test of honest silence: a random half of the questions is asked without what it asks for in the knowledge base.

Any answer to such a question is an error. The figures look at the answer that the agent holds likeliest, told or
withheld, so that they show every threshold at once; what its own threshold does stands beside them.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from eval.metrics import ranked_answers
from eval.uncertainty import calibration, risk_coverage, threshold_at_risk
from kb_index.errors import QuestionFileError
from kbqa_agent.qa_data import comparable
from kbqa_agent.removal import Removal, Without, draw_removals
from kbqa_agent.types import Answer, QAExample

__all__ = ["GIVEN", "TOLERATED", "Blinded", "Judged", "judge", "silence_figures"]

TOLERATED = 0.05
"""The share of wrong answers among those given at which coverage is reported."""
GIVEN = "given"
"""The kind of a question that has no answer in its file."""


class Blinded:
    """An agent that sees the knowledge base without what was drawn for a question; `examples` then have no answers.

    Raises: QuestionFileError when fewer than half of the questions have a gold triple that is in the knowledge base.
    """

    def __init__(self, agent: Any, examples: Sequence[QAExample], seed: int) -> None:
        self.agent = agent
        self.removals: Mapping[str, Removal] = draw_removals(agent.kb, examples, seed=seed)
        if len(self.removals) < round(len(examples) / 2):
            raise QuestionFileError(
                f"{len(self.removals)} of {len(examples)} questions have a gold triple in the index; expected half of "
                "them at least, give an NLPCC or KgCLUE file about this index"
            )
        self.examples = [replace(e, answers=()) if e.id in self.removals else e for e in examples]

    def kind(self, example: QAExample) -> str | None:
        """Say what is left out for a question: a `RemovalKind`, `GIVEN` if the file has no answer, None if nothing."""
        removal = self.removals.get(example.id)
        return removal.kind if removal else None if example.answers else GIVEN

    def ask(self, example: QAExample) -> Answer:
        """Answer one question from what is left for it."""
        if example.id not in self.removals:
            return cast(Answer, self.agent.ask(example.question))
        seen = copy.copy(self.agent)
        seen.ranker = copy.copy(seen.ranker)
        seen.kb = seen.ranker.kb = Without(self.agent.kb, self.removals[example.id])
        return cast(Answer, seen.ask(example.question))


@dataclass(frozen=True, slots=True)
class Judged:
    """One question of the test.

    `kind`: why it has no answer (None: it has one). `confidence`: of the likeliest answer, which is `right` or not.
    `abstained`: why that was withheld (None: it was told).
    """

    kind: str | None
    confidence: float
    right: bool
    abstained: str | None


def judge(example: QAExample, kind: str | None, answer: Answer) -> Judged:
    """Look at the likeliest answer, told or withheld; without any, confidence is 0 and nothing is right."""
    likeliest = next(iter(ranked_answers(answer)), None)
    right = likeliest in set(map(comparable, example.answers))
    return Judged(kind, float(answer.confidence) if likeliest else 0.0, right, answer.abstained)


def silence_figures(judged: Sequence[Judged], tolerated: float = TOLERATED) -> dict[str, Any]:
    """Compute what `report.json` holds under `unanswerable`.

    `coverage` is the share of the answerable questions that are answered at the lowest threshold at which at most
    `tolerated` of all answers given are wrong, `threshold` that confidence; `aurc`, `ece` and the curve are over all
    questions; `told` says the same of what the agent told by its own threshold, with its reasons for silence counted.
    """
    confidence = np.array([j.confidence for j in judged])
    right = np.array([j.right for j in judged], dtype=np.float64)
    kinds = np.array([j.kind or "" for j in judged])
    threshold = threshold_at_risk(confidence, right, tolerated)
    curve = risk_coverage(confidence, right)
    told = np.array([j.abstained is None for j in judged])
    return {
        "tolerated": tolerated,
        **_at(confidence >= threshold, right, kinds),
        "threshold": threshold,
        "aurc": curve.aurc,
        "ece": calibration(confidence, right).ece,
        "told": {**_at(told, right, kinds), "silent": dict(Counter(j.abstained for j in judged if j.abstained))},
        "curve": {"coverage": curve.coverage.tolist(), "risk": curve.risk.tolist()},
    }


def _at(answered: NDArray[np.bool_], right: NDArray[np.float64], kinds: NDArray[np.str_]) -> dict[str, Any]:
    """The figures where some questions are answered: coverage, risk, and how many of each kind were answered."""
    answerable = kinds == ""
    return {
        "coverage": _mean(answered[answerable]),
        "risk": 1.0 - _mean(right[answered]) if answered.any() else 0.0,
        "unanswerable": {
            kind: {"n": int((kinds == kind).sum()), "answered": _mean(answered[kinds == kind])}
            for kind in sorted(set(kinds[~answerable].tolist()))
        },
    }


def _mean(values: NDArray[Any]) -> float:
    return float(values.mean()) if len(values) else float("nan")
