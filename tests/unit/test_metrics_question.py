"""All metrics of one question: which part of an answer each of them looks at."""

from __future__ import annotations

from math import isnan

import pytest

from eval.metrics import JUDGED, METRICS, question_scores, ranked_answers
from kb_index.types import Triple
from kbqa_agent.types import Answer, Candidate, QAExample

EXAMPLE = QAExample("1", "他练什么？", ("重量\xa0 摔跤",))


def scores(answer: Answer, example: QAExample = EXAMPLE) -> dict[str, float]:
    return dict(zip(METRICS, question_scores(example, answer), strict=True))


def answer(text: str | None, *candidates: tuple[str, float]) -> Answer:
    return Answer("？", text, 0.5, None, tuple(Candidate(a, score, ()) for a, score in candidates), ())


def test_white_space_differences_do_not_count() -> None:
    right = scores(answer("重量 摔跤", ("重量 摔跤", 0.9)))
    assert right.pop("f1_strict") == 0.0
    assert right == pytest.approx(dict.fromkeys(right, 1.0))


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


def test_the_rank_among_equal_scores_is_the_expected_one() -> None:
    first = scores(answer("甲", ("甲", 0.4), ("重量 摔跤", 0.4), ("乙", 0.2)))
    last = scores(answer("重量 摔跤", ("重量 摔跤", 0.4), ("甲", 0.4), ("乙", 0.2)))
    assert first["mrr"] == last["mrr"] == first["map"] == last["map"] == 0.75
    assert first["hits@1"] == last["hits@1"] == 0.5
    assert (first["exact_match"], last["exact_match"]) == (0.0, 1.0)  # what was told was told


def test_an_equal_answer_keeps_its_best_place_and_score() -> None:
    found = answer("跑步", ("跑步", 0.5), ("重量  摔跤", 0.3), ("游泳", 0.2), ("重量 摔跤", 0.2))
    assert scores(found)["mrr"] == 0.5


def test_triples_of_a_candidate_are_those_that_state_it() -> None:
    def told(*facts: tuple[str, str]) -> Candidate:
        return Candidate("甲", 0.6, tuple(Triple(i, s, "是", o, i) for i, (s, o) in enumerate(facts)))

    def precision(first: Candidate) -> float:
        found = Answer("？", "甲", 0.6, None, (first, Candidate("重量 摔跤", 0.3, ())), ())
        return scores(found)["map_triples"]

    assert precision(told(("乙", "甲"), ("丙", "甲"), ("丁", "甲"))) == 1 / 4
    assert precision(told(("甲", "乙"), ("甲", "丙"))) == 1 / 3  # a reverse question: the answer is the subject
    assert precision(told(("戊", "己"), ("己", "甲"))) == 1 / 2  # a path of two triples to one answer
    assert precision(told()) == 1 / 2  # what people corrected rests on no triple


def test_unanswerable_questions_count_where_silence_can_be_judged() -> None:
    unanswerable = QAExample("2", "月球的首都？", ())
    abstained, answered = scores(answer(None), unanswerable), scores(answer("甲", ("甲", 0.9)), unanswerable)
    assert JUDGED == ("f1", "f1_strict", "f1_community", "exact_match", "kgclue_em", "kgclue_f1")
    assert [abstained[name] for name in JUDGED] == [1.0] * 6
    assert [answered[name] for name in JUDGED] == [0.0] * 6
    assert [name for name in METRICS if isnan(abstained[name])] == [n for n in METRICS if n not in JUDGED]


def test_what_a_generator_wrote_is_ranked_before_the_candidates() -> None:
    example = QAExample("1", "谁写了《坛经》？", ("惠能",))
    candidates = (Candidate("惠能", 0.9, ()), Candidate("神秀", 0.1, ()))
    invented = Answer(example.question, "胡说", 0.0, None, candidates, (), supported=False)
    scores = dict(zip(METRICS, question_scores(example, invented), strict=True))
    assert (scores["mrr"], scores["hits@1"], scores["exact_match"]) == (0.5, 0.0, 0.0)
    second = Answer(example.question, "神秀", 0.1, None, candidates, ())
    assert ranked_answers(second) == ["神秀", "惠能"]
    silent = Answer(example.question, None, 0.9, "low_confidence", candidates, ())
    assert ranked_answers(silent) == ["惠能", "神秀"]
