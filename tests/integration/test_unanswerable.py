"""Silence tested on a real index: what is left out for a question, and the figures of the whole test."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from eval.runner import EvalOptions, evaluate
from eval.unanswerable import Blinded
from kb_index.build import build_index
from kb_index.errors import QuestionFileError
from kb_index.knowledge_base import KnowledgeBase
from kb_index.types import Triple
from kbqa_agent.agent import KBQAgent
from kbqa_agent.linking import link
from kbqa_agent.removal import Without, draw_removals, removal_of, without
from kbqa_agent.retrieval import retrieve
from kbqa_agent.types import EntityMention, QAExample

FACTS = """\
李伟(演员) ||| 职业 ||| 演员
李伟(演员) ||| 国籍 ||| 新加坡
李伟(教授) ||| 职业 ||| 教授
李伟(教授) ||| 国籍 ||| 中国
李伟(教授) ||| 身份 ||| 教授
鲁迅 ||| 职业 ||| 作家
鲁迅 ||| 原名 ||| 周樟寿
"""
PROFESSOR = QAExample("b", "李伟的职业是什么？", ("教授",), ("李伟(教授)", "职业", "教授"))
EXAMPLES = [
    QAExample("a", "鲁迅的职业是什么？", ("作家",), ("鲁迅", "职业", "作家")),
    PROFESSOR,
    QAExample("c", "鲁迅的原名是什么？", ("周樟寿",), ("鲁迅", "原名", "周樟寿")),
    QAExample("d", "李伟的国籍是什么？", ("中国",), ("李伟(教授)", "国籍", "中国")),
]


class NamesItsAttribute:
    """A ranker that finds a triple probable when its attribute stands in the question."""

    kb: KnowledgeBase

    def rank(
        self, question: str, mentions: Sequence[EntityMention], triples: Sequence[Triple]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        asked = np.array([t.predicate in question for t in triples], dtype=np.float32)
        return asked, asked / np.maximum(asked.sum(), 1)


@pytest.fixture(scope="module")
def kb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KnowledgeBase]:
    folder = tmp_path_factory.mktemp("silence")
    (folder / "facts.kb").write_text(FACTS, encoding="utf-8")
    build_index([folder / "facts.kb"], folder / "index", progress=False)
    with KnowledgeBase.open(folder / "index") as opened:
        yield opened


@pytest.mark.parametrize(
    ("kind", "left"),
    [
        ("attribute", {("李伟(演员)", "国籍"), ("李伟(教授)", "国籍")}),
        ("entities", set()),
    ],
)
def test_what_is_left_for_a_question(kb: KnowledgeBase, kind, left) -> None:
    removal = removal_of(kb, PROFESSOR, kind)
    assert removal is not None
    seen = Without(kb, removal)
    mentions = link(seen, PROFESSOR.question)
    triples = retrieve(seen, mentions)
    assert {(t.subject, t.predicate) for t in triples if t.subject.startswith("李伟")} == left
    everything = link(kb, PROFESSOR.question)
    assert without(everything, retrieve(kb, everything), removal)[1] == triples
    assert seen.entities_named("李伟") == ([] if kind == "entities" else kb.entities_named("李伟"))
    assert seen.triples_about("教授") == []
    assert len(kb.triples_about("教授")) == 2


def test_triples_alone_are_hidden_only_where_no_other_entity_of_the_name_answers(kb: KnowledgeBase) -> None:
    assert removal_of(kb, PROFESSOR, "triples") is None
    assert {removal.kind for removal in draw_removals(kb, [PROFESSOR] * 2, share=1.0).values()} == {"attribute"}


def test_a_question_whose_triple_is_not_there_has_nothing_to_remove(kb: KnowledgeBase) -> None:
    assert removal_of(kb, QAExample("x", "谁？", ("甲",), ("乙", "丙", "甲")), "triples") is None
    assert removal_of(kb, QAExample("x", "谁？", ("甲",)), "triples") is None


def test_half_of_the_questions_are_drawn_by_the_seed(kb: KnowledgeBase) -> None:
    drawn = [frozenset(draw_removals(kb, EXAMPLES, seed=seed)) for seed in range(20)]
    assert {len(ids) for ids in drawn} == {2}
    assert drawn[3] == frozenset(draw_removals(kb, EXAMPLES, seed=3))
    assert len(set(drawn)) > 2


def test_the_report_on_silence(kb: KnowledgeBase, tmp_path: Path) -> None:
    evaluate(KBQAgent(kb, NamesItsAttribute()), EXAMPLES, tmp_path, EvalOptions(unanswerable=True))
    figures = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["unanswerable"]
    rows = [json.loads(line) for line in (tmp_path / "per_question.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [bool(row["gold"]) for row in rows] == [row["removed"] is None for row in rows]
    assert sum(kind["n"] for kind in figures["unanswerable"].values()) == 2
    assert figures["told"].keys() == {"coverage", "risk", "unanswerable", "intervals", "silent"}
    assert 0 <= figures["ece"] <= 1
    assert figures["aurc"] > 0
    assert "## Silence" in (tmp_path / "report.md").read_text(encoding="utf-8")
    assert (tmp_path / "plots" / "silence.png").is_file()


def test_what_keeps_its_answer_is_asked_together(kb: KnowledgeBase) -> None:
    class Together(KBQAgent):
        batches: ClassVar[list[list[str]]] = []

        def ask_many(self, questions, processes=None):
            self.batches.append(list(questions))
            return super().ask_many(questions, processes)

    blinded = Blinded(Together(kb, NamesItsAttribute()), EXAMPLES, seed=0)
    answers = list(blinded.ask_many(blinded.examples))
    assert [answer.question for answer in answers] == [e.question for e in EXAMPLES]
    kept = [e for e in blinded.examples if e.answers]
    assert Together.batches == [[e.question for e in kept]]
    told = {answer.question: answer.text for answer in answers}
    assert len(kept) == 2
    whole = KBQAgent(kb, NamesItsAttribute())
    assert [told[e.question] for e in kept] == [whole.ask(e.question).text for e in kept]


def test_questions_without_gold_triples_are_refused(kb: KnowledgeBase, tmp_path: Path) -> None:
    examples = [QAExample("1", "鲁迅是谁？", ("作家",))]
    with pytest.raises(QuestionFileError, match="0 of 2 questions have a gold triple"):
        evaluate(KBQAgent(kb, NamesItsAttribute()), examples * 2, tmp_path, EvalOptions(unanswerable=True))
