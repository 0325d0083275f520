"""Feedback as preferences and as questions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from finetune.feedback_export import export_feedback
from finetune.feedback_rows import preferences_from_feedback, questions_from_feedback
from finetune.preferences import Preference, read_preferences
from kb_index.errors import FeedbackError
from kb_index.types import Triple
from kbqa_agent.feedback_records import FeedbackRecord, Shown, System, Undone
from kbqa_agent.qa_data import read_questions
from kbqa_agent.types import Candidate, Feedback, QAExample, Rating

QUESTION = "《坛经》是谁写的？"
PROMPT = "【坛经】\n作者：惠能\n译者：神秀\n朝代：唐\n语言：中文\n页数：99\n问：《坛经》是谁写的？\n答："
VALUES = {"惠能": "作者", "神秀": "译者", "唐": "朝代", "中文": "语言", "99": "页数"}
CANDIDATES = tuple(
    Candidate(value, 0.5 / 2**i, (Triple(i, "坛经", attribute, value, 1),))
    for i, (value, attribute) in enumerate(VALUES.items())
)
NOW = "2026-01-01T00:00:00.000+00:00"


def record(
    number: int, user: str, answer: str | None, rating: Rating, correction: str | None = None, *, undone: bool = False
) -> FeedbackRecord:
    values = (answer,) if answer is not None else ()
    shown = Shown(CANDIDATES, (), values, PROMPT, System("none", None, None))
    given = Feedback(QUESTION, answer, rating, correction)
    return FeedbackRecord(number, NOW, user, given, shown, Undone("li", NOW) if undone else None)


def pairs(*records: FeedbackRecord) -> list[tuple[str, str]]:
    return [(pair.chosen, pair.rejected) for pair in preferences_from_feedback(records).pairs]


def test_a_confirmed_answer_is_better_than_the_best_others() -> None:
    found = preferences_from_feedback([record(1, "li", "神秀", "good")])
    assert found.pairs[0] == Preference(PROMPT, "神秀", "惠能")
    assert [pair.rejected for pair in found.pairs] == ["惠能", "唐", "中文"]


def test_a_correction_is_better_than_what_it_corrects() -> None:
    assert pairs(record(1, "li", "惠能", "bad", "神 秀")) == [("神秀", "惠能")]
    assert pairs(record(1, "li", None, "bad", "神秀")) == [("神秀", "不知道")]


def test_unknown_prefers_silence() -> None:
    assert pairs(record(1, "li", "惠能", "unknown")) == [("不知道", "惠能")]
    assert pairs(record(1, "li", None, "unknown")) == [("不知道", "惠能")]


def test_what_gives_no_pair_is_counted() -> None:
    found = preferences_from_feedback([record(1, "li", "惠能", "bad"), record(2, "wang", "惠能", "bad", "法海")])
    assert found == ([], 1, 1)


def test_the_latest_word_of_each_person_that_was_not_undone() -> None:
    assert pairs(record(1, "li", "惠能", "bad", "唐"), record(2, "li", "惠能", "bad", "神秀")) == [("神秀", "惠能")]
    assert pairs(record(1, "li", "惠能", "bad", "唐"), record(2, "li", "惠能", "bad", "神秀", undone=True)) == [
        ("唐", "惠能")
    ]
    assert pairs(record(1, "li", "惠能", "bad", "唐"), record(2, "wang", "惠能", "bad", "神秀")) == [
        ("唐", "惠能"),
        ("神秀", "惠能"),
    ]


def test_questions_have_the_answer_that_more_people_hold_than_do_not() -> None:
    triple = ("坛经", "译者", "神秀")
    for_it = [record(1, "li", "惠能", "bad", "神秀"), record(2, "wang", "神秀", "good")]
    assert questions_from_feedback(for_it) == ([QAExample("1", QUESTION, ("神秀",), triple)], 0)
    against = [record(3, "zhao", "神秀", "bad"), record(4, "qian", "惠能", "good")]
    assert questions_from_feedback([*for_it, against[0]]).examples[0].answers == ("神秀",)
    assert questions_from_feedback([*for_it, *against]) == ([], 1)
    assert questions_from_feedback([record(1, "li", "惠能", "unknown")]).examples[0].answers == ()
    assert questions_from_feedback([record(1, "li", "惠能", "bad")]) == ([], 1)
    assert questions_from_feedback([record(1, "li", "惠能", "good", undone=True)]) == ([], 0)


def test_files(tmp_path: Path) -> None:
    records = [record(1, "li", "惠能", "bad", "神秀"), record(2, "wang", "惠能", "bad")]
    told = export_feedback(records, "preferences", tmp_path / "p.jsonl")
    assert told == (
        f"{tmp_path / 'p.jsonl'}: 1 pairs from 2 pieces of feedback; "
        "1 pieces name no better answer, of 0 no triple says it"
    )
    assert read_preferences(tmp_path / "p.jsonl").pairs == [Preference(PROMPT, "神秀", "惠能")]
    told = export_feedback(records[:1], "questions", tmp_path / "q.nlpcc")
    assert told.endswith("1 questions from 1 pieces of feedback; on 0 questions people do not agree on an answer")
    assert read_questions(tmp_path / "q.nlpcc")[0].answers == ("神秀",)
    export_feedback(records, "records", tmp_path / "r.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(row["id"], row["user"], row["correction"]) for row in rows] == [(1, "li", "神秀"), (2, "wang", None)]


def test_nothing_to_export(tmp_path: Path) -> None:
    with pytest.raises(FeedbackError, match=r"1 pieces of feedback, and nothing to export \(1 pieces name no better"):
        export_feedback([record(1, "li", "惠能", "bad")], "preferences", tmp_path / "p.jsonl")
    assert list(tmp_path.iterdir()) == []
