"""A training file that holds a published test set is refused; the test set is known by fingerprints alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from finetune import published_tests
from finetune.published_tests import fingerprint, refuse_test_questions, to_bytes
from kb_index.errors import InputError
from kbqa_agent.qa_data import read_questions, write_nlpcc
from kbqa_agent.types import QAExample

DATA = Path(os.environ.get("KBQA_DATA", Path(__file__).parents[2] / ".." / "shared" / "data")) / "nlpcc2016"


@pytest.fixture
def books(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    questions = [f"第{i}本书是谁写的？" for i in range(30)]
    (tmp_path / "known").mkdir()
    (tmp_path / "known" / "books.bin").write_bytes(to_bytes(questions))
    known = published_tests.Published(
        "books.bin", "the test set of books", "the file of 2018 contains it; train on 2016's"
    )
    monkeypatch.setattr(published_tests, "FOLDER", tmp_path / "known")
    monkeypatch.setattr(published_tests, "TEST_SETS", (known,))
    return questions


def write(path: Path, questions: list[str]) -> Path:
    write_nlpcc([QAExample(str(i), question, ("乙",)) for i, question in enumerate(questions)], path)
    return path


def test_a_file_that_contains_the_test_set_is_refused_and_named(tmp_path: Path, books: list[str]) -> None:
    file = write(tmp_path / "train.nlpcc", ["谁写了诗？", *(q.replace("本", "本 ") for q in books[:5]), *books[5:]])
    with pytest.raises(InputError) as refused:
        refuse_test_questions(file, tmp_path / "out")
    listing = tmp_path / "out.overlap.tsv"
    assert str(refused.value) == (
        f"{file}: 25 of its 31 questions are in the test set of books (6 第5本书是谁写的？, 7 第6本书是谁写的？, "
        "8 第7本书是谁写的？, ...); the file of 2018 contains it; train on 2016's, or take out those listed in "
        f"'{listing}'"
    )
    assert len(listing.read_text(encoding="utf-8").splitlines()) == 25


def test_a_few_shared_questions_are_no_test_set(tmp_path: Path, books: list[str]) -> None:
    refuse_test_questions(write(tmp_path / "train.nlpcc", ["谁写了诗？", *books[:19]]), tmp_path / "out")
    assert not (tmp_path / "out.overlap.tsv").exists()


def test_white_space_does_not_hide_a_question() -> None:
    assert fingerprint("李白 是谁？") == fingerprint(" 李白\u3000是谁？ ")
    assert len(fingerprint("李白是谁？")) == 5


@pytest.mark.skipif(not DATA.is_dir(), reason=f"no data at {DATA}: set KBQA_DATA")
def test_the_files_of_the_reference_task(tmp_path: Path) -> None:
    test, train = (DATA / f"nlpcc-iccpol-2016.kbqa.{name}-data" for name in ("testing", "training"))
    known = published_tests.FOLDER / "nlpcc-iccpol-2016-test.bin"
    assert known.read_bytes() == to_bytes([example.question for example in read_questions(test)])
    refuse_test_questions(train, tmp_path / "out")
    with pytest.raises(InputError, match=r"9,870 of its 9,870 .*NLPCC-ICCPOL 2016 .*2016 to 2018 \(24,479 questions\)"):
        refuse_test_questions(test, tmp_path / "out")
