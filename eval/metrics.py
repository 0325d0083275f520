"""The metrics of a report, in their order, and all of them for one question.

A question without gold answers is right only when the agent abstains: it counts for `f1` and `exact_match` and is left
out (NaN) of the others, which compare with a gold answer.
"""

from __future__ import annotations

from math import nan

from eval.official import official_answers, set_f1
from eval.ranking import average_precision, hits_at_k, reciprocal_rank
from eval.text import bleu, exact_match, rouge
from kbqa_agent.qa_data import comparable
from kbqa_agent.types import Answer, QAExample

__all__ = ["METRICS", "question_scores", "ranked_answers"]

METRICS = ("mrr", "map", "hits@1", "hits@5", "f1", "exact_match", "bleu", "rouge_1", "rouge_2", "rouge_l")


def question_scores(example: QAExample, answer: Answer) -> tuple[float, ...]:
    """Score one answer by each of `METRICS`, (n_metrics,).

    The rank metrics look at the candidates, whether or not the agent abstains (`ranked_answers`); the text metrics and
    exact match look at its text, where abstaining scores 0; F1 looks at what is handed in (`official_answers`).
    """
    if not example.answers:
        abstained = float(answer.text is None)
        return (nan, nan, nan, nan, abstained, abstained, nan, nan, nan, nan)
    gold = set(map(comparable, example.answers))
    candidates = ranked_answers(answer)
    text = comparable(answer.text or "")
    return (
        reciprocal_rank(candidates, gold),
        average_precision(candidates, gold),
        hits_at_k(candidates, gold, 1),
        hits_at_k(candidates, gold, 5),
        set_f1(set(map(comparable, official_answers(answer))), gold),
        exact_match(text, gold),
        bleu(text, gold),
        *rouge(text, gold),
    )


def ranked_answers(answer: Answer) -> list[str]:
    """List the candidates' answers, best first, in comparable form; the text alone where there are no candidates.

    So an answer from a model's own memory has a rank too: 1, or none.
    """
    ranked = [c.answer for c in answer.candidates] or [answer.text or ""]
    return [comparable(text) for text in ranked if text]
