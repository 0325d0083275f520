"""From a question file and an index to the file that is trained on."""

from __future__ import annotations

from pathlib import Path

import pytest

from finetune.data import RowOptions
from finetune.questions import training_rows
from kb_index import build_index
from kb_index.errors import InputError
from kbqa_agent.qa_data import write_nlpcc
from kbqa_agent.text2text import Text2TextRow, read_text2text, write_text2text
from kbqa_agent.types import QAExample

EXAMPLES = [
    QAExample("1", "《坛经》的作者是谁？", ("惠能",), ("坛经", "作者", "惠能")),
    QAExample("2", "惠能的国籍是什么？", ("唐朝",), ("惠能", "国籍", "唐朝")),
]
ROWS = [Text2TextRow(f"问：{i}？\n答：", str(i)) for i in range(20)]
ALWAYS = RowOptions(min_triples=1, max_triples=1, unanswerable_share=0.0)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("books")
    lines = ["坛经 ||| 作者 ||| 惠能", "坛经 ||| 语言 ||| 中文", "惠能 ||| 国籍 ||| 唐朝", "惠能 ||| 职业 ||| 僧人"]
    (folder / "books.kb").write_text("\n".join(lines) + "\n", encoding="utf-8")
    build_index([folder / "books.kb"], folder / "index", progress=False)
    return folder / "index"


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    write_nlpcc(EXAMPLES, tmp_path / "questions.json")  # the name says nothing about the format
    return tmp_path / "questions.json"


def test_questions_get_prompts_with_triples_of_the_index(index: Path, questions: Path, tmp_path: Path) -> None:
    out = training_rows(questions, tmp_path / "out" / "rows.json", index, ALWAYS)
    assert out == tmp_path / "out" / "rows.json"
    assert read_text2text(out) == [
        ("【坛经】\n作者：惠能\n问：《坛经》的作者是谁？\n答：", "惠能"),
        ("【惠能】\n国籍：唐朝\n问：惠能的国籍是什么？\n答：", "唐朝"),
    ]


def test_closed_book_rows_need_no_index(questions: Path, tmp_path: Path) -> None:
    out = training_rows(questions, tmp_path / "out" / "rows.json", None, RowOptions(closed_book=True), limit=1)
    (row,) = read_text2text(out)
    assert row in [("问：《坛经》的作者是谁？\n答：", "惠能"), ("问：惠能的国籍是什么？\n答：", "唐朝")]


def test_questions_without_index_or_closed_book_are_refused(questions: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected an --index .* or --closed-book"):
        training_rows(questions, tmp_path / "out" / "rows.json", None, ALWAYS)


@pytest.mark.parametrize("closed_book", [False, True])
def test_a_text2text_file_is_trained_on_as_it_stands(index: Path, tmp_path: Path, closed_book: bool) -> None:
    path = tmp_path / "rows.txt"
    write_text2text(ROWS, path)
    options = RowOptions(closed_book=closed_book)
    assert training_rows(path, tmp_path / "out" / "rows.json", index, options) == path
    assert training_rows(path, tmp_path / "out" / "rows.json", None, options) == path
    assert not (tmp_path / "out").exists()


def test_a_limit_draws_rows_of_a_text2text_file(index: Path, tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    write_text2text(ROWS, path)
    drawn = read_text2text(training_rows(path, tmp_path / "out" / "rows.json", index, ALWAYS, limit=5))
    assert len(set(drawn)) == 5
    assert set(drawn) < set(ROWS)
