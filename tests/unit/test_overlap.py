"""Questions of an evaluation file in a training file."""

from __future__ import annotations

from pathlib import Path

import pytest

from finetune.overlap import refuse_overlap
from kb_index.errors import InputError
from kbqa_agent.qa_data import write_nlpcc
from kbqa_agent.text2text import write_text2text
from kbqa_agent.types import QAExample

ASKED = ["《坛经》是谁 写的？", "武汉在哪？", "谁？", "几？", "何？"]


def questions(path: Path, texts: list[str]) -> Path:
    write_nlpcc([QAExample(str(n), text, ("甲",), ("乙", "丙", "甲")) for n, text in enumerate(texts, 1)], path)
    return path


def test_shared_questions_are_counted_and_listed(tmp_path: Path) -> None:
    held_out = questions(tmp_path / "test", [*ASKED[:4], "另一个？"])
    with pytest.raises(InputError) as error:
        refuse_overlap(questions(tmp_path / "train", ["x？", *ASKED]), held_out, tmp_path / "shared.tsv")
    assert str(error.value) == (
        f"{tmp_path / 'train'}: 4 of its questions are in {held_out} too "
        "(2 《坛经》是谁 写的？, 3 武汉在哪？, 4 谁？, ...); "
        f"take out those listed in '{tmp_path / 'shared.tsv'}'"
    )
    listed = (tmp_path / "shared.tsv").read_text(encoding="utf-8").splitlines()
    assert listed == ["2\t《坛经》是谁 写的？", "3\t武汉在哪？", "4\t谁？", "5\t几？"]


def test_prompts_are_compared_by_their_questions(tmp_path: Path) -> None:
    write_text2text([("【坛经】\n作者：惠能\n问：《坛经》是谁  写的？\n答：", "惠能")], tmp_path / "rows.json")
    with pytest.raises(InputError, match="1 of its questions"):
        refuse_overlap(tmp_path / "rows.json", questions(tmp_path / "test", ASKED), tmp_path / "shared.tsv")


def test_files_without_shared_questions_pass(tmp_path: Path) -> None:
    train, test = questions(tmp_path / "train", ["一？", "二？"]), questions(tmp_path / "test", ASKED)
    refuse_overlap(train, test, tmp_path / "shared.tsv")
    assert not (tmp_path / "shared.tsv").exists()
