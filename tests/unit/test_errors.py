"""Failures in groups: which of them a question falls into, and how they are told."""

from __future__ import annotations

from typing import Any

import pytest

from eval.errors import GROUPS, error_figures, error_group, error_groups, errors_markdown, is_right
from kb_index.types import Entity, Triple
from kbqa_agent.types import QAExample

FACTS = [
    Triple(0, "李明(画家)", "出生地", "上海", 0),
    Triple(1, "李明(画家)", "职业", "画家", 0),
    Triple(2, "李明(画家)", "职业", "教师", 0),
    Triple(3, "李明(球员)", "出生地", "大连", 1),
    Triple(4, "李明", "出生地", "长春", 2),
    Triple(5, "上海(电影)", "出生地", "某地", 3),
]
ASKED = QAExample("1", "李明是哪里人？", ("上海",), ("李明", "出生地", "上海"))
NAMESAKES = FACTS[:5]
Texts = tuple[str, ...]


class People:
    """The knowledge base of the facts above."""

    def entities_named(self, name: str) -> list[Entity]:
        return [Entity(t.subject_id, t.subject) for t in FACTS if t.subject.partition("(")[0] == name.partition("(")[0]]

    def triples_of(self, entity_ids: Any) -> list[Triple]:
        return [t for t in FACTS if t.subject_id in entity_ids]


def row(
    answer: str | None, *told: Triple, mentions: tuple[str, ...] = ("李明",), gold: tuple[str, ...] = ("上海",)
) -> dict[str, Any]:
    candidates = [
        {
            "answer": t.object,
            "score": 0.5,
            "evidence": [{"id": t.id, "subject": t.subject, "predicate": t.predicate, "object": t.object}],
        }
        for t in told
    ]
    named = [{"text": m, "start": 0, "end": len(m), "entity": m} for m in mentions]
    silent = None if answer else "low_confidence"
    about = {"id": "1", "gold": list(gold), "answer": answer, "abstained": silent, "confidence": 0.5}
    return {**about, "mentions": named, "candidates": candidates}


@pytest.mark.parametrize(
    ("group", "answered"),
    [
        (None, row("上海", FACTS[0])),
        ("homonym", row("大连", FACTS[3], FACTS[0])),
        ("attribute", row("画家", FACTS[1])),
        ("linking", row("某地", FACTS[5])),
        ("generation", row("大连", FACTS[0], FACTS[3])),
        ("generation", row("自己写的", FACTS[3])),
        ("abstained", row(None, FACTS[3], FACTS[0])),
        ("attribute", row(None, FACTS[1])),
        ("linking", row(None, mentions=())),
        ("gold_doubtful", row("长春", FACTS[4])),
        ("other", row("自己写的")),
    ],
)
def test_what_went_wrong(group: str | None, answered: dict[str, Any]) -> None:
    assert error_group(ASKED, answered, NAMESAKES) == group


@pytest.mark.parametrize(
    "doubtful",
    [
        QAExample("1", "?", ("北京",), ("李明", "出生地", "北京")),
        QAExample("1", "?", ("上海",), ("李明", "出生地", "上海市")),
        QAExample("1", "?", ("画家",), ("李明", "职业", "画家")),
    ],
    ids=["triple not in the index", "answer not its object", "the gold entity has both values"],
)
def test_gold_that_the_knowledge_base_does_not_bear_out(doubtful: QAExample) -> None:
    assert error_group(doubtful, row("教师", FACTS[2], gold=doubtful.answers), NAMESAKES) == "gold_doubtful"


def test_a_question_without_an_answer_is_right_when_nothing_is_told() -> None:
    asked = QAExample("1", "月球的首都是哪里？", ())
    assert is_right(row(None, gold=()))
    assert error_group(asked, row(None, gold=()), ()) is None
    assert error_group(asked, row("上海", FACTS[0], gold=()), ()) == "unanswerable"


def test_without_a_gold_triple_only_silence_and_the_generator_can_be_told() -> None:
    asked = QAExample("1", "李明是哪里人？", ("上海",))
    assert error_group(asked, row("大连", FACTS[3]), ()) == "other"
    assert error_group(asked, row("大连", FACTS[0], FACTS[3]), ()) == "generation"
    assert error_group(asked, row(None, FACTS[0]), ()) == "abstained"


def test_blanks_do_not_make_an_answer_wrong() -> None:
    assert is_right(row("a\u00a0b", gold=("a  b",)))


def test_figures_count_and_show_the_groups() -> None:
    examples = [ASKED, *(QAExample(str(n), "李明是哪里人？", ("上海",), ASKED.triple) for n in (2, 3, 4))]
    rows = [{**row("大连", FACTS[3]), "id": str(n)} for n in (1, 2)] + [{**row("画家", FACTS[1]), "id": "3"}]
    groups = error_groups(examples, rows, People())
    assert groups == {"1": "homonym", "2": "homonym", "3": "attribute"}
    figures = error_figures(examples, rows, groups, shown=1)
    assert (figures["n"], figures["share"]) == (3, 0.75)
    assert list(figures["groups"]) == ["homonym", "attribute"]
    assert (figures["groups"]["homonym"]["n"], figures["groups"]["homonym"]["share"]) == (2, 0.5)
    assert len(figures["groups"]["homonym"]["examples"]) == 1
    assert figures["groups"]["attribute"]["examples"] == [
        {
            "id": "3",
            "question": "李明是哪里人？",
            "gold": "李明 | 出生地 | 上海",
            "answer": "画家",
            "evidence": "李明(画家) | 职业 | 画家",
        }
    ]
    lines = errors_markdown(figures)
    assert "3 questions (75.00%) were not answered right." in lines
    assert f"| homonym | 2 | 50.00% | {GROUPS['homonym']} |" in lines
    assert "| 3 | 李明是哪里人？ | 李明 \\| 出生地 \\| 上海 | 画家 | 李明(画家) \\| 职业 \\| 画家 |" in lines
