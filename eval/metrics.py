"""The metrics of a report, in their order, and all of them for one question.

A question without gold answers is right only when the agent abstains: it counts as 1 or 0 for the metrics in `JUDGED`,
and the others, which compare with a gold answer, leave it out (NaN).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import inf, nan
from typing import NamedTuple

from eval.kgclue import kgclue_em, kgclue_f1
from eval.official import FORMS, f1_of, official_answers
from eval.ranking import average_precision, hits_at_k, reciprocal_rank, triple_average_precision
from eval.text import bleu, exact_match, rouge
from kbqa_agent.qa_data import comparable
from kbqa_agent.types import Answer, Candidate, QAExample

__all__ = [
    "JUDGED",
    "METRICS",
    "RANKED",
    "REPORTED",
    "TOLD",
    "Ranking",
    "question_scores",
    "ranked_answers",
    "ranking_of",
    "text_scores",
    "told_scores",
]

RANKED = ("mrr", "map", "map_triples", "hits@1", "hits@5")
"""Metrics of the ranked candidates."""

JUDGED = (*FORMS, "exact_match", "kgclue_em", "kgclue_f1")
TOLD = (*JUDGED, "bleu", "rouge_1", "rouge_2", "rouge_l")
"""Metrics of what is told; those in `JUDGED` also know whether an unanswerable question was left unanswered."""

METRICS = RANKED + TOLD
"""Every metric that is a mean over questions."""

REPORTED = (*METRICS, "bleu_corpus")
"""Every metric of a report: those, and BLEU of all answers together (`eval.corpus`)."""


class Ranking(NamedTuple):
    """Candidates in comparable form, best first, how many triples say each of them, and their scores."""

    answers: list[str]
    triples: list[int]
    scores: list[float]


def question_scores(example: QAExample, answer: Answer) -> tuple[float, ...]:
    """Score one answer by each of `METRICS`, (n_metrics,).

    The rank metrics look at the candidates, whether or not the agent abstains (`ranking_of`); the text metrics and
    exact match look at its text, where abstaining scores 0; F1 looks at what is handed in (`official_answers`).
    """
    told = told_scores(official_answers(answer), answer.text, example.answers)
    if not example.answers:
        return (nan,) * len(RANKED) + told
    gold = set(map(comparable, example.answers))
    answers, triples, scores = ranking_of(answer)
    return (
        reciprocal_rank(answers, gold, scores),
        average_precision(answers, gold, scores),
        triple_average_precision(answers, triples, gold, scores),
        hits_at_k(answers, gold, 1, scores),
        hits_at_k(answers, gold, 5, scores),
        *told,
    )


def told_scores(handed_in: Sequence[str], text: str | None, gold: Sequence[str]) -> tuple[float, ...]:
    """Score what is told by each of `TOLD`: answers handed in for F1, and the one answer, None where there is none.

    >>> scores = dict(zip(TOLD, told_scores(["李白", "杜甫"], "李白", ["李白"])))
    >>> round(scores["f1"], 3), scores["exact_match"], scores["rouge_2"]
    (0.667, 1.0, 1.0)
    """
    if not gold:
        return (float(text is None),) * len(JUDGED) + (nan,) * (len(TOLD) - len(JUDGED))
    return (*(f1_of(handed_in, gold, name) for name in FORMS), *text_scores(text or "", gold))


def text_scores(text: str, gold: Collection[str]) -> tuple[float, ...]:
    """Score a text by each of `TOLD` that looks at one answer: all but the F1s, (n_text_metrics,)."""
    said, wanted = comparable(text), set(map(comparable, gold))
    return (
        exact_match(said, wanted),
        kgclue_em(text, gold),
        kgclue_f1(text, gold),
        bleu(said, wanted),
        *rouge(said, wanted),
    )


def ranked_answers(answer: Answer) -> list[str]:
    """List the answers in comparable form: what was told, which a generator may have written, then the candidates.

    So an answer from a model's own memory has a rank too: 1, or none. Where the agent abstains, the candidates alone.
    """
    return ranking_of(answer).answers


def ranking_of(answer: Answer) -> Ranking:
    """List what `ranked_answers` does, with what the rank metrics need to know beside it."""
    told = next((c for c in answer.candidates if c.answer == answer.text), None)
    listed = list(answer.candidates)
    if answer.text is not None and (not listed or told is not listed[0]):
        first = Candidate(answer.text, inf, told.evidence if told else ())
        listed = [first, *(c for c in listed if c is not told)]
    kept = [c for c in listed if c.answer]
    return Ranking(
        [comparable(c.answer) for c in kept],
        [_n_triples(c) for c in kept],
        [c.score for c in kept],
    )


def _n_triples(candidate: Candidate) -> int:
    """Count the triples that state the answer, as object or, of a reverse question, as subject; at least one.

    The other triples of a path only lead there, and what is counted or compared stands in no triple.
    """
    return max(1, sum(candidate.answer in (t.object, t.subject) for t in candidate.evidence))
