"""How probable the fact is that several answers rest on, and which of several entities of one name is counted."""

from __future__ import annotations

import pytest

from kb_index.types import Entity, Triple
from kbqa_agent.counting import count
from kbqa_agent.several import gathered, total
from kbqa_agent.types import Answer, Candidate, EntityMention

WORKS = [
    Candidate(name, score, (Triple(i, "李白", "代表作", name, 1),))
    for i, (name, score) in enumerate((("甲", 0.1), ("乙", 0.08), ("丙", 0.07)))
]


def answer(candidates: list[Candidate]) -> Answer:
    values = tuple(c.answer for c in candidates)
    return Answer("？", values[0], candidates[0].score, None, tuple(candidates), (), values=values)


def test_values_of_one_fact_count_once() -> None:
    assert total(answer(WORKS)) == pytest.approx(0.25)
    assert total(answer(gathered(WORKS))) == pytest.approx(0.25)


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
