"""Counts, comparisons and lists: what is counted, compared, and how probable several answers are together."""

from __future__ import annotations

import time

import pytest

from kb_index.types import Entity, Triple
from kbqa_agent.comparing import compare
from kbqa_agent.counting import count
from kbqa_agent.several import gathered, total
from kbqa_agent.types import Answer, Candidate, EntityMention

WORKS = [
    Candidate(name, score, (Triple(i, "李白", "代表作", name, 1),))
    for i, (name, score) in enumerate((("甲", 0.1), ("乙", 0.08), ("丙", 0.07)))
]


def answer(question: str, candidates: list[Candidate]) -> Answer:
    values = tuple(c.answer for c in candidates)
    return Answer(question, values[0], candidates[0].score, None, tuple(candidates), (), values=values)


def test_values_of_one_fact_count_once() -> None:
    assert total(answer("李白的代表作是什么？", WORKS)) == pytest.approx(0.25)
    assert total(answer("李白有哪些代表作？", gathered(WORKS))) == pytest.approx(0.25)


def test_the_entity_that_ranks_first_is_counted() -> None:
    triples = [
        Triple(1, "李伟", "女儿", "甲", 1),
        Triple(2, "李伟(演员)", "女儿", "乙", 2),
        Triple(3, "李伟(演员)", "女儿", "丙", 2),
    ]
    mention = EntityMention("李伟", 0, 2, (Entity(1, "李伟"), Entity(2, "李伟(演员)")))
    ranked = [Candidate("乙", 0.6, (triples[1],)), Candidate("甲", 0.3, (triples[0],))]
    for order, number in ((ranked, "2"), (ranked[::-1], "1"), ([], "1")):
        proposal = count("李伟有几个女儿？", [mention], triples, order)
        assert proposal is not None
        assert proposal.values == (number,)


@pytest.mark.parametrize(("question", "winner"), [("哪个人口最多？", "苏州"), ("哪个人口最少？", "南京")])
def test_three_names_are_compared(question, winner) -> None:
    people = {"苏州": "12748000", "杭州": "12376000", "南京": "9491000"}
    triples = [Triple(i, name, "人口", n, i) for i, (name, n) in enumerate(people.items())]
    mentions = [EntityMention(name, 3 * i, 3 * i + 2, (Entity(i, name),)) for i, name in enumerate(people)]
    proposal = compare(f"苏州、杭州和南京{question}", mentions, triples)
    assert proposal is not None
    assert proposal.values == (winner,)
    assert {t.subject for t in proposal.candidates[0].evidence} == set(people)


def test_one_of_three_that_cannot_be_compared_leaves_no_answer() -> None:
    triples = [Triple(1, "杭州", "人口", "12376000", 1), Triple(2, "南京", "人口", "9491000", 2)]
    mentions = [
        EntityMention(name, 3 * i, 3 * i + 2, (Entity(i, name),)) for i, name in enumerate(("苏州", "杭州", "南京"))
    ]
    assert compare("苏州、杭州和南京哪个人口最多？", mentions, triples) is None


def test_a_title_that_begins_with_a_numeral_is_counted() -> None:
    triples = [Triple(i, "林远航", "作品", title, 1) for i, title in enumerate(("十里灯", "三岔口", "白鹭湖"))]
    mention = EntityMention("林远航", 0, 3, (Entity(1, "林远航"),))
    proposal = count("林远航有几部作品？", [mention], triples, [])
    assert proposal is not None
    assert proposal.values == ("3",)
    stated = [Triple(1, "林远航", "作品", "三部", 1)]
    assert count("林远航有几部作品？", [mention], stated, []) is None


def test_a_question_full_of_names_is_not_compared_name_by_name():
    question = "南京" * 600
    mentions = [EntityMention("南京", at, at + 2, (Entity(1, "南京"),)) for at in range(0, len(question), 2)]
    began = time.process_time()
    assert compare(question, mentions, []) is None
    assert time.process_time() - began < 3  # it took 12 seconds
