"""What a fine-tuned generator has seen in training, from the records in its folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from finetune.trained_questions import trained_questions
from kbqa_agent.qa_data import read_questions, write_nlpcc
from kbqa_agent.sample import sample_train
from kbqa_agent.shipped import shipped_adapter
from kbqa_agent.text2text import write_text2text
from kbqa_agent.types import QAExample


def prompts(*questions: str) -> list[tuple[str, str]]:
    return [(f"【书】\n作者：甲\n问：{question}\n答：", "甲") for question in questions]


def training(folder: Path, **settings: object) -> Path:
    """A folder as a training leaves it, with its record alone."""
    folder.mkdir(parents=True)
    content = {"config": {name: str(value) for name, value in settings.items()}, "rows_sha256": ""}
    (folder / "record.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def test_rows_lie_beside_the_adapter_or_where_the_record_says(tmp_path: Path) -> None:
    write_text2text(prompts("一？", " 二  三？"), training(tmp_path / "a") / "rows.json")
    assert trained_questions(tmp_path / "a") == {"一？", "二 三？"}
    write_text2text(prompts("四？"), tmp_path / "mine.json")
    assert trained_questions(training(tmp_path / "b", data=tmp_path / "mine.json")) == {"四？"}
    write_nlpcc([QAExample("1", "五？", ("甲",))], tmp_path / "mine.nlpcc")
    assert trained_questions(training(tmp_path / "c", data=tmp_path / "mine.nlpcc")) == {"五？"}


def test_what_it_began_from_counts_too(tmp_path: Path) -> None:
    write_text2text(prompts("一？"), training(tmp_path / "whole", full=True) / "rows.json")
    write_text2text(prompts("二？"), training(tmp_path / "first", model=tmp_path / "whole") / "rows.json")
    aligned = training(tmp_path / "aligned", adapter=tmp_path / "first", model="some/hub-name")
    rows = [{"id": "1", "text": prompt, "gold": ["甲"]} for prompt, _ in prompts("三？")]
    (aligned / "training.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    assert trained_questions(aligned) == {"一？", "二？", "三？"}


def test_the_shipped_adapter_saw_the_training_questions_of_the_sample() -> None:
    folder = shipped_adapter()
    assert folder is not None
    assert trained_questions(folder) == {example.question for example in read_questions(sample_train())}


def test_a_folder_that_says_nothing_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "bare").mkdir()
    assert trained_questions(tmp_path / "bare") == set()
    assert "bare': has no record of the questions it was trained on" in caplog.text


def test_a_folder_that_names_itself_is_read_once(tmp_path: Path) -> None:
    write_text2text(prompts("一？"), training(tmp_path / "a", adapter=tmp_path / "a") / "rows.json")
    assert trained_questions(tmp_path / "a") == {"一？"}
