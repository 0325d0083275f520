"""All metrics of one question: which part of an answer each of them looks at."""

from __future__ import annotations

from math import isnan

import pytest

from eval.metrics import METRICS, question_scores, ranked_answers
from kbqa_agent.types import Answer, Candidate, QAExample

EXAMPLE = QAExample("1", "他练什么？", ("重量\xa0 摔跤",))


def scores(answer: Answer, example: QAExample = EXAMPLE) -> dict[str, float]:
    return dict(zip(METRICS, question_scores(example, answer), strict=True))


def answer(text: str | None, *candidates: tuple[str, float]) -> Answer:
    return Answer("？", text, 0.5, None, tuple(Candidate(a, score, ()) for a, score in candidates), ())


def test_white_space_differences_do_not_count() -> None:
    right = scores(answer("重量 摔跤", ("重量 摔跤", 0.9)))
    assert right == pytest.approx(dict.fromkeys(METRICS, 1.0))


def test_candidates_that_differ_in_white_space_only_share_a_rank() -> None:
    assert scores(answer("跑步", ("跑步", 0.5), ("跑步 ", 0.2), ("重量 摔跤", 0.1)))["mrr"] == 0.5


def test_abstaining_keeps_the_ranking_and_loses_the_rest() -> None:
    found = scores(answer(None, ("重量 摔跤", 0.03)))
    assert (found["mrr"], found["hits@1"]) == (1.0, 1.0)
    assert found["f1"] == found["exact_match"] == found["bleu"] == found["rouge_l"] == 0.0


def test_an_answer_without_candidates_is_its_own_ranking() -> None:
    assert ranked_answers(answer("重量 摔跤")) == ["重量 摔跤"]
    assert scores(answer("重量 摔跤"))["mrr"] == 1.0
    assert ranked_answers(answer(None)) == []


def test_unanswerable_questions_count_for_f1_and_exact_match_only() -> None:
    unanswerable = QAExample("2", "月球的首都？", ())
    abstained, answered = scores(answer(None), unanswerable), scores(answer("甲", ("甲", 0.9)), unanswerable)
    assert (abstained["f1"], abstained["exact_match"]) == (1.0, 1.0)
    assert (answered["f1"], answered["exact_match"]) == (0.0, 0.0)
    assert [name for name in METRICS if isnan(abstained[name])] == [
        n for n in METRICS if n not in ("f1", "exact_match")
    ]
