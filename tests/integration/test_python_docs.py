"""What docs/python.md shows runs, and so do the programs in examples/, over the embedded sample."""

import asyncio
import json
import re
import runpy
import sys
from pathlib import Path

import pytest

from kb_index import build_index
from kbqa_agent.sample import sample_triples

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("app")
    build_index([sample_triples()], folder / "my-index", progress=False)
    return folder


def run(block, folder, monkeypatch):
    monkeypatch.chdir(folder)
    names = {"__name__": "docs_python"}
    exec(compile(block, "docs/python.md", "exec"), names)
    return names


def example(name):
    return runpy.run_path(str(ROOT / "examples" / name))


@pytest.mark.parametrize(
    ("number", "printed"),
    [
        (0, ["巴黎 None", "('法国', '首都', '巴黎')"]),
        (1, ["东京"]),
        (2, ["['巴黎', '东京', '巴黎']"]),
        (3, ["perhaps 日元", "日元"]),
        (5, ["巴黎 东京", "欧元"]),
    ],
)
def test_the_page_prints_what_one_would_expect(folder, monkeypatch, capsys, number, printed):
    run(BLOCKS[number], folder, monkeypatch)
    assert capsys.readouterr().out.splitlines() == printed


def test_the_page_explains_an_answer(folder, monkeypatch, capsys):
    run(BLOCKS[4], folder, monkeypatch)
    sentence, decided = capsys.readouterr().out.splitlines()
    assert sentence.startswith("答案是“日元”（把握 ")
    assert "因为知识库里有：日本 | 货币 | 日元。" in sentence
    assert decided.startswith("ranker ")


def test_the_application_of_the_page_answers_over_http(folder, monkeypatch):
    pytest.importorskip("fastapi")
    from fastapi.testclient import TestClient

    app = run(BLOCKS[6], folder, monkeypatch)["app"]
    with TestClient(app) as client:
        answer = client.get("/ask", params={"question": "法国的首都是哪里？"})
        assert (answer.status_code, answer.json()["answer"]) == (200, "巴黎")
        refused = client.get("/ask", params={"question": " "})
        assert (refused.status_code, refused.json()) == (422, {"detail": "the question is empty; ask something"})


def test_every_block_of_the_page_is_run_here():
    assert len(BLOCKS) == 7


def test_a_file_of_questions_is_answered_into_json_lines(folder, capsys):
    questions, answers = folder / "questions.txt", folder / "answers.jsonl"
    questions.write_text("法国的首都是哪里？\n\n日本的首都是哪里？\n", encoding="utf-8")
    assert example("batch_over_a_file.py")["main"](folder / "my-index", questions, answers) == 2
    rows = [json.loads(line) for line in answers.read_text(encoding="utf-8").splitlines()]
    assert [row["answer"] for row in rows] == ["巴黎", "东京"]
    assert "left out: the question is empty" in capsys.readouterr().err


def test_the_conversation_explains_each_answer(folder, capsys):
    example("conversation.py")["main"](folder / "my-index")
    turns = capsys.readouterr().out.split("> ")[1:]
    assert len(turns) == 5
    assert "日本 | 货币 | 日元" in turns[3]
    assert "没有回答" in turns[4]


def test_the_notebook_runs_from_top_to_bottom(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    notebook = json.loads((ROOT / "examples" / "first_steps.ipynb").read_text(encoding="utf-8"))
    names = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            exec(compile("".join(cell["source"]), cell["id"], "exec"), names)
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == ["巴黎", "东京", "日元"]
    assert lines[3].startswith("答案是“美国”（把握 ")
    assert "('圣何塞(哥斯达黎加首都)', '所属国家', '哥斯达黎加')" in lines[-3] + lines[-2]
    assert lines[-1] == "哥斯达黎加"


def test_many_people_ask_at_once(folder):
    heard = asyncio.run(example("many_people_at_once.py")["main"](folder / "my-index", 20))
    assert heard == {"欧元": 16, "日元": 4}


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("batch_over_a_file.py", [], "INDEX QUESTIONS ANSWERS"),
        ("batch_over_a_file.py", ["my-index"], "INDEX QUESTIONS ANSWERS"),
        ("many_people_at_once.py", [], "INDEX"),
        ("conversation.py", ["a", "b"], "[INDEX]"),
    ],
)
def test_a_program_says_which_arguments_it_takes(monkeypatch, name, given, expected):
    monkeypatch.setattr(sys, "argv", [f"examples/{name}", *given])
    with pytest.raises(SystemExit, match=rf"^usage: python \S*examples/{re.escape(f'{name} {expected}')}$"):
        runpy.run_path(str(ROOT / "examples" / name), run_name="__main__")
