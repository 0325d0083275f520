"""A file of predictions by itself: the official rules, and files that cannot be scored, with the line that says why."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from eval.predictions import PredictionsReport, predictions_markdown, score_predictions
from kb_index.errors import QuestionFileError, StorageError

QUESTIONS = {"1": "谁写的？", "2": "谁画的？", "3": "谁唱的？", "4": "月球的首都？"}
GOLD = {"1": "李白", "2": "齐白石", "3": "甲\t乙", "4": ""}


def nlpcc(answers: dict[str, str], questions: dict[str, str] = QUESTIONS) -> str:
    return "".join(
        f"<question id={n}>\t{questions.get(n, '？')}\n<answer id={n}>\t{answer}\n=====\n"
        for n, answer in answers.items()
    )


@pytest.fixture
def score(tmp_path: Path):
    def scored(gold: str | bytes, predictions: str | bytes, **options) -> PredictionsReport:
        for name, content in (("gold", gold), ("predictions", predictions)):
            data = content if isinstance(content, bytes) else content.encode()
            (tmp_path / name).write_bytes(data)
        return score_predictions(tmp_path / "gold", tmp_path / "predictions", tmp_path / "out", resamples=50, **options)

    return scored


def test_every_id_counts_once_and_answers_are_a_set(score) -> None:
    told = {"1": "李白\t李白\t杜甫", "2": "张大千\t齐白石", "3": "乙\t甲", "4": ""}
    metrics = score(nlpcc(GOLD), nlpcc(told)).metrics
    assert metrics["f1"] == pytest.approx((2 / 3 + 2 / 3 + 1 + 1) / 4)
    assert metrics["exact_match"] == pytest.approx(3 / 4)  # the first answer of each
    assert metrics["rouge_1"] == pytest.approx((1 + 0 + 1) / 3)


def test_an_omitted_id_counts_as_nothing_and_an_empty_answer_as_silence(score) -> None:
    report = score(nlpcc(GOLD), nlpcc({"1": "李白", "4": ""}))
    assert report.metrics["f1"] == pytest.approx((1 + 0 + 0 + 1) / 4)
    assert report.metrics["bleu"] == pytest.approx(1 / 3)
    assert report.predictions == {"n": 2, "missing": 2, "unknown": 0}
    assert score(nlpcc(GOLD), nlpcc({"1": "李白"})).metrics["f1"] == 1 / 4
    assert score(nlpcc(GOLD), nlpcc({"1": "李白", "4": "没有"})).metrics["f1"] == 1 / 4


def test_predictions_for_other_ids_are_ignored_and_said(score, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        report = score(nlpcc(GOLD), nlpcc({"1": "李白", "2": "齐白石", "99": "无关"}))
    assert report.metrics["f1"] == pytest.approx(2 / 4)
    assert report.predictions == {"n": 3, "missing": 2, "unknown": 1}
    assert [record.getMessage().partition(": ")[2] for record in caplog.records] == [
        "2 ids have no prediction; they count as 0",
        "1 ids of the predictions are unknown; they are ignored",
    ]


def test_three_rules_of_equality(score) -> None:
    gold = nlpcc({"1": "War and  Peace", "2": "War and  Peace", "3": "War and  Peace"})
    metrics = score(gold, nlpcc({"1": "War and  Peace", "2": "War and Peace", "3": "warand peace"})).metrics
    assert [metrics[name] for name in ("f1_strict", "f1", "f1_community")] == pytest.approx([1 / 3, 2 / 3, 1])


def test_files_of_windows_with_a_byte_order_mark(score) -> None:
    def windows(text: str) -> bytes:
        return b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()

    told = {"1": "李白", "2": "齐白石", "3": "甲\t乙", "4": ""}
    report = score(windows(nlpcc(GOLD)), windows(nlpcc(told)))
    assert report.metrics["f1"] == report.metrics["f1_strict"] == report.metrics["exact_match"] == 1.0
    assert score(nlpcc(GOLD), windows(nlpcc(told))).metrics["f1_strict"] == 1.0


def test_bars_are_part_of_an_answer_and_tabs_are_between_answers(score) -> None:
    gold = nlpcc({"1": "黄色 | yellow", "2": "a ||| b", "3": "甲\t乙"})
    right = score(gold, nlpcc({"1": "黄色 | yellow", "2": "a ||| b", "3": "乙\t甲"}))
    assert right.metrics["f1"] == right.metrics["f1_strict"] == 1.0
    assert score(gold, nlpcc({"1": "黄色", "2": "a", "3": "甲"})).metrics["f1"] == pytest.approx((2 / 3) / 3)


def test_a_tab_or_a_bar_inside_a_json_answer_is_part_of_it(score) -> None:
    def kgclue(objects: list[str]) -> str:
        rows = [{"id": i, "question": f"问题{i}？", "answer": f"实体 ||| 属性 ||| {o}"} for i, o in enumerate(objects)]
        return "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)

    gold = kgclue(["甲\t乙", "丙 ||| 丁", "戊|己"])
    assert score(gold, gold).metrics["f1_strict"] == 1.0
    assert score(gold, kgclue(["甲 乙", "丙", "戊"])).metrics["f1"] == pytest.approx(1 / 3)  # white space only
    told = {"0": "甲 乙", "1": "丙 ||| 丁", "2": "戊|己"}
    assert score(gold, nlpcc(told, {n: f"问题{n}？" for n in told})).metrics["f1"] == 1.0


def test_gold_without_any_answer_is_refused(score) -> None:
    with pytest.raises(QuestionFileError, match=r"gold: none of its 4 questions has an answer; expected gold answers"):
        score(nlpcc(dict.fromkeys(QUESTIONS, "")), nlpcc(GOLD))


@pytest.mark.parametrize("which", ["gold", "predictions"])
def test_an_id_that_is_there_twice_is_refused(score, which: str) -> None:
    files = {"gold": nlpcc(GOLD), "predictions": nlpcc(GOLD)}
    files[which] += nlpcc({"2": "徐悲鸿"})
    message = rf"{which}:13: id 2 was already used at .*{which}:4; give every question its own id"
    with pytest.raises(QuestionFileError, match=message):
        score(files["gold"], files["predictions"])


@pytest.mark.parametrize("which", ["gold", "predictions"])
def test_an_item_without_an_id_is_refused(score, which: str) -> None:
    files = {"gold": nlpcc(GOLD), "predictions": nlpcc(GOLD)}
    files[which] += "<question>\t谁？\n<answer>\t他\n=====\n"
    with pytest.raises(
        QuestionFileError, match=rf"{which}:13: .* is no line of a question; expected <question\|triple"
    ):
        score(files["gold"], files["predictions"])


def test_predictions_of_a_file_with_other_ids_are_refused(score) -> None:
    others = {str(n): "甲" for n in range(100, 103)}
    with pytest.raises(QuestionFileError, match=r"predictions: 3 of its 3 ids are not among the 4 of .*gold; expected"):
        score(nlpcc(GOLD), nlpcc(others))
    with pytest.raises(QuestionFileError, match=r"predictions: 3 of its 4 ids are not among the 4 of "):
        score(nlpcc(GOLD), nlpcc({"1": "李白", **others}))


def test_predictions_for_other_questions_of_the_same_ids_are_refused(score) -> None:
    others = nlpcc(GOLD, {n: f"别的问题{n}？" for n in GOLD})
    with pytest.raises(QuestionFileError, match=r"predictions: 4 of the 4 ids that it shares with .*gold have another"):
        score(nlpcc(GOLD), others)


def test_questions_that_were_written_in_lower_case_are_the_same(score) -> None:
    gold = nlpcc({"1": "托尔斯泰"}, {"1": "War and Peace 是谁写的？"})
    assert score(gold, nlpcc({"1": "托尔斯泰"}, {"1": "war and peace是谁写的？"})).metrics["f1"] == 1.0


def test_a_report_of_an_evaluation_is_not_replaced(score, tmp_path: Path) -> None:
    score(nlpcc(GOLD), nlpcc(GOLD))
    score(nlpcc(GOLD), nlpcc(GOLD))  # its own is
    (tmp_path / "out" / "per_question.jsonl").touch()
    with pytest.raises(StorageError, match="holds the report of an evaluation"):
        score(nlpcc(GOLD), nlpcc(GOLD))


def test_the_files_that_it_writes(score, tmp_path: Path) -> None:
    report = score(nlpcc(GOLD), nlpcc(GOLD), seed=3)
    written = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert (written["n_questions"], written["metrics"]["f1"], written["metrics"]["exact_match"]) == (4, 1.0, 1.0)
    assert "mrr" not in written["metrics"]
    assert list(written["confidence_intervals"]) == list(written["metrics"])
    text = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert text == predictions_markdown(report)
    assert "4 questions of " in text
    assert "| f1 | 1.0000 | 1.0000 – 1.0000 |" in text
