"""The test of honest silence: a random half of the questions is asked without what it asks for in the knowledge base.

Any answer to such a question is an error. The figures look at the answer that the agent holds likeliest, told or
withheld, so that they show every threshold at once; what its own threshold does stands beside them.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from eval.metrics import ranked_answers
from eval.uncertainty import Interval, bootstrap_figures, calibration, risk_coverage, threshold_at_risk
from kb_index.errors import QuestionFileError
from kbqa_agent.qa_data import comparable
from kbqa_agent.removal import Removal, Without, draw_removals
from kbqa_agent.types import Answer, QAExample

if TYPE_CHECKING:
    from kbqa_agent.agent import KBQAgent

__all__ = ["ANSWERABLE", "GIVEN", "TOLERATED", "Blinded", "Judged", "judge", "silence_figures"]

TOLERATED = 0.05
"""The share of wrong answers among those given at which coverage is reported."""
ANSWERABLE = 0.5
"""The share of questions that keep what they ask for."""
GIVEN = "given"
"""The kind of a question that has no answer in its file."""


class Blinded:
    """An agent that sees the knowledge base without what was drawn for a question; `examples` then have no answers.

    Raises: QuestionFileError when fewer than half of the questions have a gold triple that is in the knowledge base.
    """

    def __init__(self, agent: KBQAgent, examples: Sequence[QAExample], seed: int) -> None:
        self.agent = agent
        self.removals: Mapping[str, Removal] = draw_removals(agent.kb, examples, 1 - ANSWERABLE, seed)
        if len(self.removals) < round((1 - ANSWERABLE) * len(examples)):
            raise QuestionFileError(
                f"{len(self.removals)} of {len(examples)} questions have a gold triple in the index; expected half of "
                "them at least, give an NLPCC or KgCLUE file about this index"
            )
        self.examples = [replace(e, answers=()) if e.id in self.removals else e for e in examples]

    def kind(self, example: QAExample) -> str | None:
        """Say what is left out for a question: a `RemovalKind`, `GIVEN` if the file has no answer, None if nothing."""
        removal = self.removals.get(example.id)
        return removal.kind if removal else None if example.answers else GIVEN

    def ask_many(self, examples: Sequence[QAExample]) -> Iterator[Answer]:
        """Answer each question from what is left for it, together those from which nothing is taken."""
        whole = self.agent.ask_many([e.question for e in examples if e.id not in self.removals])
        for example in examples:
            removal = self.removals.get(example.id)
            yield next(whole) if removal is None else self._without(removal).ask(example.question)

    def _without(self, removal: Removal) -> KBQAgent:
        seen, ranker = copy.copy(self.agent), copy.copy(cast(Any, self.agent.ranker))
        seen.kb = ranker.kb = Without(self.agent.kb, removal)
        seen.ranker = ranker
        return seen


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


def silence_figures(
    judged: Sequence[Judged], resamples: int = 1000, seed: int = 0, tolerated: float = TOLERATED
) -> dict[str, Any]:
    """Compute what `report.json` holds under `unanswerable`.

    `coverage` is the share of the answerable questions that are answered at the lowest threshold at which at most
    `tolerated` of all answers given are wrong, `threshold` that confidence; `aurc`, `ece` and the curve are over all
    questions; `told` says the same of what the agent told by its own threshold, with its reasons for silence counted.
    `intervals` has the 95 % interval of each; the threshold is chosen anew in each resample.
    """
    confidence = np.array([j.confidence for j in judged])
    right = np.array([j.right for j in judged], dtype=np.float64)
    kinds = np.array([j.kind or "" for j in judged])
    told = np.array([j.abstained is None for j in judged])
    counts = dict(sorted(Counter(j.kind for j in judged if j.kind).items()))
    curve = risk_coverage(confidence, right)

    def at_risk(drawn: NDArray[np.int64]) -> dict[str, float]:
        sure, correct = confidence[drawn], right[drawn]
        threshold = threshold_at_risk(sure, correct, tolerated)
        return {
            **_shares(sure >= threshold, correct, kinds[drawn], counts),
            "threshold": threshold,
            "aurc": risk_coverage(sure, correct).aurc,
            "ece": calibration(sure, correct).ece,
        }

    def as_told(drawn: NDArray[np.int64]) -> dict[str, float]:
        return _shares(told[drawn], right[drawn], kinds[drawn], counts)

    how = (len(judged), resamples, seed)
    reasons = Counter(j.abstained for j in judged if j.abstained)
    return {
        "tolerated": tolerated,
        **_by_kind(at_risk(np.arange(len(judged))), bootstrap_figures(at_risk, *how), counts),
        "told": {
            **_by_kind(as_told(np.arange(len(judged))), bootstrap_figures(as_told, *how), counts),
            "silent": dict(reasons),
        },
        "curve": {"coverage": curve.coverage.tolist(), "risk": curve.risk.tolist()},
    }


def _shares(
    answered: NDArray[np.bool_], right: NDArray[np.float64], kinds: NDArray[np.str_], unanswerable: Iterable[str]
) -> dict[str, float]:
    """The figures where some questions are answered: coverage, risk, and under its name the share of each kind."""
    return {
        "coverage": _mean(answered[kinds == ""]),
        "risk": 1.0 - _mean(right[answered]) if answered.any() else 0.0,
        **{kind: _mean(answered[kinds == kind]) for kind in unanswerable},
    }


def _by_kind(
    figures: Mapping[str, float], intervals: Mapping[str, Interval], counts: Mapping[str, int]
) -> dict[str, Any]:
    """Put the figures of the kinds of unanswerable questions together, with how many there are."""
    return {
        **{name: value for name, value in figures.items() if name not in counts},
        "unanswerable": {
            kind: {"n": n, "answered": figures[kind], "interval": intervals[kind]} for kind, n in counts.items()
        },
        "intervals": {name: ends for name, ends in intervals.items() if name not in counts},
    }


def _mean(values: NDArray[Any]) -> float:
    return float(values.mean()) if len(values) else float("nan")
