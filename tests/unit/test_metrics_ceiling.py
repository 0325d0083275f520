"""The oracle among homonyms: closed forms against all orders, and the look-ups it makes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.ceiling import oracle_candidates, oracle_rows, oracle_scores
from eval.metrics import METRICS
from eval.official import set_f1
from eval.ranking import average_precision, hits_at_k, reciprocal_rank
from kb_index.types import Entity, Triple
from kbqa_agent.types import QAExample


class Homonyms:
    """Two persons of one name, and the two look-ups of a knowledge base."""

    triples = (
        Triple(0, "李伟(演员)", "出生日期", "1980年", 0),
        Triple(1, "李伟(演员)", "职 业", "演员", 0),
        Triple(2, "李伟(教授)", "出生日期", "1955年", 1),
        Triple(3, "李伟(教授)", "职业", "教授", 1),
        Triple(4, "鲁迅", "职业", "作家", 2),
    )

    def entities_named(self, name: str) -> list[Entity]:
        return {"李伟": [Entity(0, "李伟(演员)"), Entity(1, "李伟(教授)")], "鲁迅": [Entity(2, "鲁迅")]}.get(name, [])

    def triples_of(self, entity_ids: Sequence[int]) -> list[Triple]:
        return [t for t in self.triples if t.subject_id in entity_ids]


BIRTH = QAExample("1", "李伟是哪年出生的？", ("1955年",), ("李伟", "出生日期", "1955年"))
JOB = QAExample("2", "李伟是做什么的？", ("演员",), ("李伟", "职业", "演员"))
WRITER = QAExample("3", "鲁迅是做什么的？", ("作家",), ("鲁迅", "职业", "作家"))
UNKNOWN = QAExample("4", "张三是做什么的？", ("工人",), ("张三", "职业", "工人"))


def test_candidates_are_the_predicate_over_all_homonyms() -> None:
    found = oracle_candidates(Homonyms(), [BIRTH, JOB, WRITER, UNKNOWN])
    assert found == [("1980年", "1955年"), ("演员", "教授"), ("作家",), ()]


def test_two_equally_likely_candidates() -> None:
    scores = dict(zip(METRICS, oracle_scores(["演员", "教授"], ["演员"]).tolist(), strict=True))
    assert scores["mrr"] == scores["map"] == 0.75
    assert scores["hits@1"] == scores["exact_match"] == scores["rouge_1"] == 0.5
    assert scores["hits@5"] == 1.0
    assert scores["f1"] == pytest.approx(2 / 3)


def test_means_count_what_the_knowledge_base_lacks_as_zero() -> None:
    rows, statistics = oracle_rows(Homonyms(), [BIRTH, JOB, WRITER, UNKNOWN])
    assert rows[:, METRICS.index("mrr")].tolist() == [0.75, 0.75, 1, 0]
    # Of 1980年 and 1955年 each comes first as often: 5 and 3 (1, 9, 年) of 5 characters are right.
    assert statistics[0].tolist() == [4, 2.5, 1.5, 1, 5, 4, 3, 2, 5, 5]
    assert statistics[3].tolist() == [0, 0, 0, 0, 0, 0, 0, 0, 0, 2]


def test_no_ceiling_without_triples_or_answers() -> None:
    without = [QAExample("1", "？", ("甲",)), QAExample("2", "？", (), ("a", "b", "c"))]
    rows, statistics = oracle_rows(Homonyms(), without)
    assert (rows.shape, statistics.shape) == ((0, len(METRICS)), (0, 10))


def test_triples_that_agree_are_one_candidate_and_several_items() -> None:
    scores = dict(zip(METRICS, oracle_scores(["演员", "教授", "教授"], ["演员"]).tolist(), strict=True))
    assert scores["mrr"] == scores["map"] == 0.75
    assert scores["map_triples"] == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)


def test_the_oracle_hands_in_what_pays_for_each_rule_of_equality() -> None:
    scores = dict(
        zip(METRICS, oracle_scores(["War  and Peace", "war and peace"], ["War and peace"]).tolist(), strict=True)
    )
    assert (scores["f1_strict"], scores["f1"], scores["f1_community"]) == (0.0, 0.0, 1.0)
    assert (scores["exact_match"], scores["kgclue_em"]) == (0.0, 1.0)


@given(n=st.integers(1, 6), gold=st.sets(st.sampled_from("甲乙丙丁戊己庚"), min_size=1, max_size=3))
@settings(deadline=None)
def test_closed_forms_are_the_means_over_all_orders(n: int, gold: set[str]) -> None:
    candidates = "甲乙丙丁戊己"[:n]
    orders = list(permutations(candidates))
    expected = {
        "mrr": np.mean([reciprocal_rank(order, gold) for order in orders]),
        "map": np.mean([average_precision(order, gold) for order in orders]),
        "hits@1": np.mean([hits_at_k(order, gold, 1) for order in orders]),
        "hits@5": np.mean([hits_at_k(order, gold, 5) for order in orders]),
        "f1": max(np.mean([set_f1(order[:k], gold) for order in orders]) for k in range(1, n + 1)),
    }
    scores = dict(zip(METRICS, oracle_scores(candidates, sorted(gold)).tolist(), strict=True))
    assert {name: scores[name] for name in expected} == pytest.approx(expected)
