"""`kbqa feedback`, and `--feedback` of the commands that answer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import cli
from kb_index import build_index
from kbqa_agent.feedback import feedback_beside
from kbqa_agent.sample import sample_test, sample_triples

QUESTION = "圣何塞在哪个国家？"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("feedback") / "built"
    build_index([sample_triples()], folder, progress=False)
    return folder


@pytest.fixture
def index(built: Path, tmp_path: Path) -> Path:
    """The index under a name of its own, so that no feedback lies beside it."""
    (tmp_path / "my-index").symlink_to(built)
    return tmp_path / "my-index"


def kbqa(*arguments: object, text: str | None = None) -> Result:
    return CliRunner().invoke(cli.main, list(map(str, arguments)), input=text)


def told(*arguments: object) -> str:
    result = kbqa(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def add(index: Path, *more: object, question: str = QUESTION) -> str:
    return told("feedback", "add", "--index", index, "--model", "none", "--question", question, *more)


def answer(index: Path, *more: object) -> str:
    return told("ask", QUESTION, "--index", index, "--model", "none", *more).split("  ")[0]


def test_a_correction_counts_from_the_next_question_on(index: Path) -> None:
    assert answer(index) == "美国"
    printed = add(index, "--rating", "bad", "--correction", "哥斯达黎加", "--user", "li")
    assert printed == "1: bad for 美国; the answer is now 哥斯达黎加\n"
    assert answer(index) == "哥斯达黎加"
    assert answer(index, "--feedback", "none") == "美国"
    chat = kbqa("chat", "--index", index, "--model", "none", text=f"{QUESTION}\n")
    assert chat.stdout.startswith("哥斯达黎加  (")
    assert told("feedback", "undo", 1, "--index", index, "--user", "admin") == "1: undone\n"
    assert answer(index) == "美国"


def test_list_by_user_as_lines_and_as_json(index: Path) -> None:
    add(index, "--rating", "good", "--user", "li", "--comment", "<b>谢谢</b>")
    add(index, "--rating", "good", "--user", "wang", "--answer", "哥斯达黎加")
    told("feedback", "undo", 2, "--index", index)
    first, second = told("feedback", "list", "--index", index).splitlines()
    assert first.split()[0] == "1"
    assert first.endswith(f"  li  good     {QUESTION} -> 美国; comment: <b>谢谢</b>")
    assert f"  wang  good     {QUESTION} -> 哥斯达黎加; undone by local 20" in second
    rows = [json.loads(line) for line in told("feedback", "list", "--index", index, "--json").splitlines()]
    assert [(row["id"], row["user"], row["answer"]) for row in rows] == [(1, "li", "美国"), (2, "wang", "哥斯达黎加")]
    assert rows[0]["candidates"][0]["evidence"][0]["object"] == "美国"
    assert told("feedback", "list", "--index", index, "--user", "wang").count("\n") == 1


def test_another_file_by_option_and_from_the_environment(index: Path, tmp_path: Path, monkeypatch) -> None:
    mine = tmp_path / "mine.sqlite"
    add(index, "--rating", "bad", "--feedback", mine)
    assert not feedback_beside(index).exists()
    assert answer(index) == "美国"
    monkeypatch.setenv("KBQA_FEEDBACK", str(mine))
    assert answer(index) == "哥斯达黎加"
    assert told("feedback", "list").count("\n") == 1


def test_a_report_depends_on_feedback_only_if_it_is_named(index: Path, tmp_path: Path, monkeypatch) -> None:
    add(index, "--rating", "bad")
    beside = feedback_beside(index)
    monkeypatch.setenv("KBQA_FEEDBACK", str(beside))
    asked = ("eval", "--index", index, "--questions", sample_test(), "--model", "none", "--limit", 3)
    told(*asked, "--out", tmp_path / "plain")
    told(*asked, "--out", tmp_path / "heeding", "--feedback", beside)
    used = [
        json.loads((tmp_path / name / "report.json").read_text(encoding="utf-8"))["system"]["feedback"]
        for name in ("plain", "heeding")
    ]
    assert used == [None, str(beside)]
    assert f"With the feedback in {beside}." in (tmp_path / "heeding" / "report.md").read_text(encoding="utf-8")
    assert kbqa(*asked, "--out", tmp_path / "x", "--feedback", beside, "--unanswerable").exit_code == 2


def test_export(index: Path, tmp_path: Path) -> None:
    add(index, "--rating", "bad", "--correction", "哥斯达黎加", "--user", "li")
    out = tmp_path / "preferences.jsonl"
    assert "1 pairs from 1 pieces of feedback" in told("feedback", "export", "--index", index, "--out", out)
    assert json.loads(out.read_text(encoding="utf-8"))["chosen"] == "哥斯达黎加"
    refused = kbqa("feedback", "export", "--index", index, "--out", out, "--force", "--user", "nobody")
    assert (refused.exit_code, refused.stderr.count("\n")) == (1, 1)
    assert json.loads(out.read_text(encoding="utf-8"))["chosen"] == "哥斯达黎加"


def test_an_export_replaces_no_file_unless_it_is_forced(index: Path, tmp_path: Path) -> None:
    add(index, "--rating", "good", "--user", "li")
    export = ("feedback", "export", "--index", index, "--as", "records")
    facts = tmp_path / "facts.kb"
    facts.write_text("法国 ||| 首都 ||| 巴黎\n", encoding="utf-8")
    refused = kbqa(*export, "--out", facts)
    assert (refused.exit_code, refused.stdout) == (1, "")
    message = f"kbqa: '{facts}': there already; it is left as it is, choose another --out, or add --force\n"
    assert refused.stderr == message
    assert facts.read_text(encoding="utf-8") == "法国 ||| 首都 ||| 巴黎\n"
    assert told(*export, "--out", facts, "--force").startswith(f"{facts}: 1 records from 1 pieces")
    assert json.loads(facts.read_text(encoding="utf-8"))["question"] == QUESTION
    store = kbqa(*export, "--out", feedback_beside(index), "--force")
    assert (store.exit_code, "the file of feedback itself" in store.stderr) == (2, True)
    assert told("feedback", "list", "--index", index).count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--rating", "good", "--correction", "x"), "a correction beside the rating 'good'"),
        (("--rating", "good", "--answer", "火星"), "'火星' is not among the answers to this question"),
        (("--rating", "bad", "--correction", "长" * 10_000), "the correction has 10,000 characters"),
        (("--rating", "good", "--user", " "), "the user's name is empty"),
    ],
)
def test_what_is_refused_is_one_line(index: Path, arguments: tuple[str, ...], message: str) -> None:
    given = ("feedback", "add", "--index", index, "--model", "none", "--question", QUESTION)
    result = kbqa(*given, *arguments)
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert result.stderr.startswith(f"kbqa: {message}")


def test_files_that_are_not_there(index: Path, tmp_path: Path) -> None:
    for arguments in (
        ("ask", QUESTION, "--index", index, "--model", "none", "--feedback", tmp_path / "no"),
        ("feedback", "list", "--index", index),
        ("feedback", "undo", 1, "--feedback", tmp_path / "no"),
    ):
        result = kbqa(*arguments)
        assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
        assert "no such file; make it with kbqa feedback add" in result.stderr
    assert not (tmp_path / "no").exists()
    assert kbqa("feedback", "list").exit_code == 2
