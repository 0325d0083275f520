"""A whole evaluation with an agent whose answers are known: every figure can be worked out by hand."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from math import exp
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from eval.metrics import REPORTED
from eval.official import averaged_f1, read_predictions
from eval.report import SystemInfo
from eval.runner import EvalOptions, evaluate
from kb_index.build import build_index
from kb_index.errors import MissingExtraError, QuestionError, QuestionFileError
from kb_index.knowledge_base import KnowledgeBase
from kb_index.types import Entity, Triple
from kbqa_agent.agent import KBQAgent
from kbqa_agent.qa_data import draw, read_questions
from kbqa_agent.types import Answer, Candidate, EntityMention, QAExample

EXAMPLES = [
    QAExample("1", "李白是哪里人？", ("碎叶城",), ("李白", "出生地", "碎叶城")),
    QAExample("2", "杜甫的字是什么？", ("子美",), ("杜甫", "字", "子美")),
    QAExample("3", "王维是做什么的？", ("诗人",), ("王维", "职业", "诗人")),
    QAExample("4", "月球的首都是哪里？", ()),
]


class Poets:
    """A knowledge base of three facts, and two poets of one name."""

    def entities_named(self, name: str) -> list[Entity]:
        return {
            "李白": [Entity(0, "李白")],
            "杜甫": [Entity(1, "杜甫")],
            "王维": [Entity(2, "王维"), Entity(3, "王维")],
        }[name]

    def triples_of(self, entity_ids: Sequence[int]) -> list[Triple]:
        facts = [
            ("李白", "出生地", "碎叶城"),
            ("杜甫", "字", "子美"),
            ("王维", "职业", "诗人"),
            ("王维", "职业", "演员"),
        ]
        return [Triple(i, *facts[i], i) for i in entity_ids]


class Reciter:
    """Answers from a list; it finds the second question's answer second, and refuses the third question."""

    answers: ClassVar = {
        "李白是哪里人？": ("碎叶城", (("碎叶城", 0.9), ("四川", 0.1))),
        "杜甫的字是什么？": ("少陵", (("少陵", 0.5), ("子美", 0.3))),
        "月球的首都是哪里？": (None, ()),
    }
    kb = Poets()

    def check(self, question: str) -> None:
        if question not in self.answers:
            raise QuestionError("the question is refused")

    def ask_many(self, questions: Sequence[str]) -> Iterator[Answer]:
        return map(self._answer, questions)

    def _answer(self, question: str) -> Answer:
        text, candidates = self.answers[question]
        confidence = candidates[0][1] if candidates else 0.0
        abstained = None if text else "no_entity"
        return Answer(question, text, confidence, abstained, tuple(Candidate(a, s, ()) for a, s in candidates), ())


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluation") / "new" / "out"
    evaluate(Reciter(), EXAMPLES, folder, EvalOptions(system=SystemInfo(model="none", index="poets")))
    return folder


def test_the_files_of_an_evaluation(out: Path) -> None:
    names = sorted(str(p.relative_to(out)) for p in out.rglob("*") if p.is_file())
    plots = ("calibration", "candidates", "homonyms", "metrics", "ranks", "risk_coverage")
    assert names == [
        "per_question.jsonl",
        *(f"plots/{name}.{kind}" for name in plots for kind in ("png", "svg")),
        "predictions.nlpcc",
        "report.html",
        "report.json",
        "report.md",
    ]


def test_metrics_by_hand(out: Path) -> None:
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert report["n_questions"] == 4
    metrics = report["metrics"]
    assert list(metrics) == list(report["ceiling"]) == list(report["confidence_intervals"]) == list(REPORTED)
    # Three questions have gold answers: found first, found second, refused.
    assert metrics["mrr"] == metrics["map"] == pytest.approx((1 + 1 / 2 + 0) / 3)
    assert metrics["hits@1"] == pytest.approx(1 / 3)
    assert metrics["hits@5"] == pytest.approx(2 / 3)
    assert metrics["bleu"] == metrics["rouge_l"] == pytest.approx(1 / 3)
    # All four count here: the unanswerable one is right because the agent abstains.
    assert metrics["exact_match"] == pytest.approx(2 / 4)
    assert metrics["f1"] == metrics["f1_strict"] == metrics["f1_community"] == pytest.approx((1 + 2 / 3 + 0 + 1) / 4)
    assert metrics["kgclue_em"] == metrics["kgclue_f1"] == pytest.approx(2 / 4)
    # Told were 碎叶城 (right) and 少陵 (wrong), 7 characters wanted: 3 of 5 characters, 2 of 3 pairs, 1 of 1 triplet.
    assert metrics["bleu_corpus"] == pytest.approx(exp(1 - 7 / 5) * (3 / 5 * 2 / 3 * 1) ** (1 / 3))


def test_ceiling_and_uncertainty(out: Path) -> None:
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert report["ceiling"]["mrr"] == pytest.approx((1 + 1 + 0.75) / 3)
    assert report["ceiling"]["f1"] == pytest.approx((1 + 1 + 2 / 3) / 3)
    low, high = report["confidence_intervals"]["mrr"]
    assert 0 <= low < report["metrics"]["mrr"] < high <= 1
    # By confidence: right (.9), wrong (.5), then the two it abstains on, of which one is right.
    assert report["risk_coverage"]["risk"] == pytest.approx([0, 1 / 2, (1 + 0.5) / 3, 2 / 4])
    assert report["risk_coverage"]["ece"] == pytest.approx((0.1 + 0.5) / 2)


def test_the_system_is_described(out: Path) -> None:
    system = json.loads((out / "report.json").read_text(encoding="utf-8"))["system"]
    assert (system["model"], system["adapter"], system["index"]) == ("none", None, "poets")
    assert system["versions"]["python"].startswith("3.")
    assert "numpy" in system["versions"]


def test_one_row_a_question_with_the_keys_of_an_answer(out: Path) -> None:
    rows = [json.loads(line) for line in (out / "per_question.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["id"] for row in rows] == ["1", "2", "3", "4"]
    answer = ["question", "answer", "values", "confidence", "abstained", "supported"]
    assert list(rows[0]) == ["id", "gold", *answer, "mentions", "candidates", "timings_ms"]
    assert rows[1]["gold"] == ["子美"]
    assert [c["answer"] for c in rows[1]["candidates"]] == ["少陵", "子美"]
    assert (rows[2]["answer"], rows[2]["abstained"], rows[3]["gold"]) == (None, "no_entity", [])


def test_predictions_hold_every_id_once(out: Path) -> None:
    predictions = read_questions(out / "predictions.nlpcc")
    assert [(p.id, p.answers) for p in predictions] == [
        ("1", ("碎叶城",)),
        ("2", ("少陵", "子美")),
        ("3", ()),
        ("4", ()),
    ]


def test_the_predictions_file_scores_what_the_report_says(out: Path) -> None:
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert averaged_f1(read_predictions(out / "predictions.nlpcc"), EXAMPLES) == pytest.approx(report["metrics"]["f1"])


class NamesItsAttribute:
    """A ranker that finds a triple probable when its attribute stands in the question."""

    def rank(
        self, question: str, mentions: Sequence[EntityMention], triples: Sequence[Triple]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        asked = np.array([t.predicate in question for t in triples], dtype=np.float32)
        return asked, asked / np.maximum(asked.sum(), 1)


def test_a_real_index_and_pipeline(tmp_path: Path) -> None:
    facts = tmp_path / "facts.kb"
    lines = [
        "李伟(演员) ||| 职业 ||| 演员",
        "李伟(教授) ||| 职业 ||| 教授",
        "李伟(教授) ||| 国籍 ||| 中国",
        "鲁迅 ||| 职业 ||| 作家",
    ]
    facts.write_text("\n".join(lines) + "\n", encoding="utf-8")
    build_index([facts], tmp_path / "index", progress=False)
    examples = [
        QAExample("a", "鲁迅的职业是什么？", ("作家",), ("鲁迅", "职业", "作家")),
        QAExample("b", "李伟的职业是什么？", ("教授",), ("李伟", "职业", "教授")),
    ]
    with KnowledgeBase.open(tmp_path / "index") as kb:
        report = evaluate(KBQAgent(kb, NamesItsAttribute()), examples, tmp_path / "out").report
    assert report.ceiling is not None
    assert report.ceiling["mrr"] == pytest.approx((1 + 0.75) / 2)
    assert report.ceiling["f1"] == pytest.approx((1 + 2 / 3) / 2)
    # Two homonyms are equally probable, so both are handed in, and the rank of each is one or two.
    assert report.metrics["f1"] == pytest.approx((1 + 2 / 3) / 2)
    assert report.metrics["mrr"] == report.metrics["map"] == pytest.approx((1 + 0.75) / 2)
    assert report.metrics["hits@1"] == pytest.approx((1 + 0.5) / 2)
    rows = [
        json.loads(line) for line in (tmp_path / "out" / "per_question.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    assert rows[0]["candidates"][0]["evidence"][0]["subject"] == "鲁迅"
    assert rows[0]["mentions"][0] == {"text": "鲁迅", "start": 0, "end": 2, "entity": "鲁迅"}


def test_questions_about_another_index_are_told_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    other = [QAExample(str(i), "杜甫的官职？", ("拾遗",), ("杜甫", "官职", "拾遗")) for i in range(3)]
    evaluate(Reciter(), [EXAMPLES[0], *other], tmp_path / "out")
    assert "1 of 4 gold triples are in the index; expected most of them" in caplog.text
    caplog.clear()
    evaluate(Reciter(), EXAMPLES, tmp_path / "out")
    assert "gold triples" not in caplog.text


def test_an_interrupted_evaluation_leaves_no_file(tmp_path: Path) -> None:
    class Interrupted(Reciter):
        def _answer(self, question: str) -> Answer:
            if question.startswith("杜甫"):
                raise KeyboardInterrupt
            return super()._answer(question)

    with pytest.raises(KeyboardInterrupt):
        evaluate(Interrupted(), EXAMPLES, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_drawing_questions() -> None:
    many = [QAExample(str(i), "？", ("甲",)) for i in range(100)]
    drawn = [int(e.id) for e in draw(many, 10, seed=1)]
    assert len(set(drawn)) == 10
    assert drawn == sorted(drawn)
    assert drawn == [int(e.id) for e in draw(many, 10, seed=1)]
    assert drawn != [int(e.id) for e in draw(many, 10, seed=2)]
    assert draw(many, None, 0) == draw(many, 100, 0) == many


def test_no_question_is_refused(tmp_path: Path) -> None:
    with pytest.raises(QuestionFileError, match="no question to evaluate"):
        evaluate(Reciter(), [], tmp_path)


@pytest.mark.parametrize(
    ("module", "package"),
    [
        ("sacrebleu", "sacrebleu"),
        ("rouge_score", "rouge-score"),
        ("matplotlib", "matplotlib"),
        ("tabulate", "tabulate"),
    ],
)
def test_a_missing_package_is_found_before_the_first_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=rf"^{package} is not installed, .*kbqa\[eval\]"):
        evaluate(Reciter(), EXAMPLES, tmp_path / "out")
    assert not (tmp_path / "out").exists()
