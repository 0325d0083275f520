"""Question files: the four formats, the rule for damaged items, and what is refused."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb_index.errors import QuestionFileError
from kbqa_agent.qa_data import detect_format, read_questions, write_nlpcc
from kbqa_agent.text2text import Text2TextRow, read_text2text, write_text2text
from kbqa_agent.types import QAExample

DATA = Path(os.environ.get("KBQA_DATA", Path(__file__).parents[3] / "shared" / "data"))
needs_data = pytest.mark.skipif(not (DATA / "nlpcc2016").is_dir(), reason="no KBQA_DATA folder with nlpcc2016")

LI_BAI = "<question id=7>\t《静夜思》是谁写的？\n<triple id=7>\t静夜思 ||| 作者 ||| 李白\n<answer id=7>\t李白\n=====\n"
EXAMPLE = QAExample("7", "《静夜思》是谁写的？", ("李白",), ("静夜思", "作者", "李白"))


def written(tmp_path: Path, content: str | bytes, name: str = "questions") -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_nlpcc_item_with_triple(tmp_path: Path) -> None:
    assert read_questions(written(tmp_path, LI_BAI)) == [EXAMPLE]


def test_byte_order_mark_and_windows_line_ends_change_nothing(tmp_path: Path) -> None:
    path = written(tmp_path, b"\xef\xbb\xbf" + LI_BAI.replace("\n", "\r\n").encode())
    assert read_questions(path) == [EXAMPLE]


def test_an_empty_answer_line_is_an_unanswerable_question(tmp_path: Path) -> None:
    path = written(tmp_path, "<question id=1>\t月球的首都是哪里？\n<answer id=1>\t\n====\n")
    assert read_questions(path) == [QAExample("1", "月球的首都是哪里？", (), None)]


def test_several_answers_are_separated_by_tabs_and_told_apart_once(tmp_path: Path) -> None:
    path = written(tmp_path, "<question id=1>\t？\n<answer id=1>\t李白\t杜甫\t李白\n====\n")
    assert read_questions(path)[0].answers == ("李白", "杜甫")


def test_an_object_may_hold_the_separator_of_triples(tmp_path: Path) -> None:
    path = written(tmp_path, "<question id=1>\t？\n<triple id=1>\ta ||| b ||| c ||| d\n<answer id=1>\tc ||| d\n====\n")
    assert read_questions(path)[0].triple == ("a", "b", "c ||| d")


@pytest.mark.parametrize(
    ("triple", "answer", "answers"),
    [("白藤江之战 ||| 伤亡 ||| ", "", ()), (" ||| 日语 ||| カーヤ", "カーヤ", ("カーヤ",))],
)
def test_a_damaged_triple_is_left_out_and_the_line_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, triple: str, answer: str, answers: tuple[str, ...]
) -> None:
    path = written(tmp_path, f"<question id=5>\t？\n<triple id=5>\t{triple}\n<answer id=5>\t{answer}\n====\n")
    with caplog.at_level(logging.WARNING):
        assert read_questions(path) == [QAExample("5", "？", answers, None)]
    assert f"{path}:2: id 5: the triple lacks a part" in caplog.text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b" \n\n", "the file is empty"),
        (b"\xef\xbb\xbf", "the file is empty"),
        (b"\xef\xbb\xbf\n \r\n", "the file is empty"),
        ("\u3000\u00a0\n", "the file is empty"),
        (b"<question id=1>\t\0\0", "binary data"),
        ("<question id=1>\t？\n".encode() + b"\xff\xfe", ":2: not UTF-8"),
        (LI_BAI + LI_BAI, ":5: id 7 was already used at"),
        ("<question id=1>\t？\n<answer id=1>\t甲", ":2: the file ends inside an item"),
        ("<question id=1>\t？\n<question id=2>\t？\n====\n", ":2: <question id=2> inside another item"),
        ("<question id=1>\t？\n<answer id=2>\t甲\n====\n", ":2: <answer id=2> inside another item"),
        ("<question id=1>\t？\nnonsense\n====\n", ":2: 'nonsense' is no line of a question"),
        ("<answer id=1>\t甲\n====\n", "is of no known format"),
        ("<question id=1>\t \n====\n", ":1: item 1 has no question"),
        ("谁写的？\n", ":1: '谁写的？' is of no known format"),
        ('{"id": 1, "question": "？", "answer": 3}\n', ":1: the answer is 3"),
        ('{"id": 1, "answer": "甲"}\n', ":1: no question"),
        ('{"id": 1, "question": "？"}\n{"id": \n', ":2: not JSON"),
        ('{"type": "text2text", "instances": [{"input": "？"}]}', "instance 1: got"),
        ('{"type": "image", "instances": []}', "not text2text"),
        ('{"type": "text2text", "instances": []}', "no question in it"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(tmp_path: Path, content: str | bytes, message: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(QuestionFileError) as caught:
        read_questions(path)
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (LI_BAI, "nlpcc"),
        ('{"id": 1, "question": "？"}\n', "kgclue"),
        ("what does [Tom Cullen] act in\tWeekend\n", "metaqa"),
        ('{"instances": []}', "text2text"),
    ],
)
def test_the_first_lines_tell_the_format(tmp_path: Path, content: str, name: str) -> None:
    assert detect_format(written(tmp_path, content)) == name


def test_a_missing_file_and_an_unknown_format_are_refused(tmp_path: Path) -> None:
    with pytest.raises(QuestionFileError, match="cannot be read"):
        read_questions(tmp_path / "nothing")
    with pytest.raises(QuestionFileError, match="expected one of auto, nlpcc"):
        read_questions(written(tmp_path, LI_BAI), format="xml")


def test_the_format_can_be_forced(tmp_path: Path) -> None:
    path = written(tmp_path, "who wrote it\tLi Bai|Du Fu\n")
    with pytest.raises(QuestionFileError, match="no known format"):
        read_questions(path)
    assert read_questions(path, format="metaqa") == [QAExample("1", "who wrote it", ("Li Bai", "Du Fu"))]


def test_kgclue_lines_hold_triples(tmp_path: Path) -> None:
    row = {"id": 0, "question": "巫山县的区号是什么", "answer": "巫山县 ||| 区号 ||| 023"}
    path = written(tmp_path, json.dumps(row, ensure_ascii=False) + "\n")
    assert read_questions(path) == [QAExample("0", "巫山县的区号是什么", ("023",), ("巫山县", "区号", "023"))]


def test_metaqa_topic_marks_are_taken_off(tmp_path: Path) -> None:
    path = written(tmp_path, "what does [Tom Cullen] act in\tWeekend|Black Mirror\n")
    assert read_questions(path) == [QAExample("1", "what does Tom Cullen act in", ("Weekend", "Black Mirror"))]


def test_text2text_rows_come_back(tmp_path: Path) -> None:
    rows = [Text2TextRow("问：甲\n答：", "乙"), Text2TextRow("“引号”\t", "")]
    write_text2text(rows, tmp_path / "rows.json")
    assert read_text2text(tmp_path / "rows.json") == rows
    assert json.loads((tmp_path / "rows.json").read_text(encoding="utf-8"))["instances"][0] == {
        "input": "问：甲\n答：",
        "output": "乙",
    }
    assert read_questions(tmp_path / "rows.json")[0] == QAExample("1", "问：甲\n答：", ("乙",))


def test_an_empty_set_of_rows_is_valid_json(tmp_path: Path) -> None:
    write_text2text([], tmp_path / "rows.json")
    assert read_text2text(tmp_path / "rows.json") == []


# Whatever a value holds inside, except what ends a line or a field: those are written as blanks.
inner = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\t\r\n\0")).map(str.strip).filter(bool)
part = inner.map(lambda text: text.replace("|", "｜"))


@given(question=inner, answers=st.lists(inner, unique=True), triple=st.none() | st.tuples(part, part, part))
def test_nlpcc_files_come_back(
    tmp_path_factory: pytest.TempPathFactory, question: str, answers: list[str], triple: tuple[str, str, str] | None
) -> None:
    path = tmp_path_factory.getbasetemp() / "round-trip.nlpcc"
    examples = [QAExample("a-1", question, tuple(answers), triple)]
    write_nlpcc(examples, path)
    assert read_questions(path) == examples


def test_line_breaks_in_a_value_cannot_start_a_line(tmp_path: Path) -> None:
    write_nlpcc([QAExample("1", "甲\n<answer id=1>\t乙", ("丙\t丁",))], tmp_path / "out")
    assert read_questions(tmp_path / "out") == [QAExample("1", "甲 <answer id=1> 乙", ("丙 丁",))]


@needs_data
def test_published_files(caplog: pytest.LogCaptureFixture) -> None:
    training = read_questions(DATA / "nlpcc2016" / "nlpcc-iccpol-2016.kbqa.training-data")
    assert len(training) == 14609
    assert training[0] == QAExample(
        "1",
        "《机械设计基础》这本书的作者是谁？",
        ("杨可桢，程光蕴，李仲生",),
        ("机械设计基础", "作者", "杨可桢，程光蕴，李仲生"),
    )
    assert [e.id for e in training if e.triple is None] == ["11001", "12902"]
    assert [e.id for e in training if not e.answers] == ["11001"]
    assert len(caplog.records) == 2
    assert len(read_questions(DATA / "nlpcc2016" / "nlpcc-iccpol-2016.kbqa.testing-data")) == 9870


@needs_data
def test_published_files_in_other_formats() -> None:
    assert len(read_questions(DATA / "kgclue" / "dev.json")) == 2000
    films = read_questions(DATA / "multihop" / "metaqa" / "1hop.dev.txt")
    assert len(films) == 9992
    assert films[0].answers == ("Once Were Warriors", "Tracker", "River Queen")
