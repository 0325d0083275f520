"""The commands of docs/feedback.md, from a first answer over feedback to a new adapter, as they stand there."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

import cli
from finetune.preferences import read_preferences
from kb_index import build_index
from kbqa_agent.qa_data import read_questions, write_nlpcc
from kbqa_agent.sample import sample_test, sample_triples

DOCS = (Path(__file__).parents[2] / "docs" / "feedback.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^kbqa (.*)$", DOCS.split("```console\n")[1].split("```")[0], re.MULTILINE)


@pytest.mark.slow
def test_the_whole_loop(tiny_models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="needs the extra [models]")
    monkeypatch.chdir(tmp_path)
    shutil.copy(sample_triples(), "facts.kb")
    shutil.copytree(tiny_models["llama"], "my-model")
    others = [e for e in read_questions(sample_test()) if e.triple is not None][:4]
    write_nlpcc(others, Path("others.nlpcc"))
    printed = []
    for command in COMMANDS:
        result = CliRunner().invoke(cli.main, shlex.split(command))
        assert result.exit_code == 0, (command, result.output)
        printed.append(result.stdout)
    asked = [text.splitlines()[0] for command, text in zip(COMMANDS, printed, strict=True) if command.startswith("ask")]
    assert [text.split("  ")[0] for text in asked[:2]] == ["美国", "哥斯达黎加"]
    assert len(asked) == 3
    assert COMMANDS[-1].endswith("--adapter my-aligned --generator always")
    pairs = read_preferences(Path("preferences.jsonl")).pairs
    assert ("哥斯达黎加", "美国") in {(pair.chosen, pair.rejected) for pair in pairs}
    assert {pair.chosen for pair in pairs} >= {"巴黎", "东京", "日元", "不知道"}
    examples = {e.question: e for e in read_questions(Path("confirmed.nlpcc"))}
    assert examples["圣何塞在哪个国家？"].answers == ("哥斯达黎加",)
    assert examples["圣何塞在哪个国家？"].triple == ("圣何塞(哥斯达黎加首都)", "所属国家", "哥斯达黎加")
    assert examples["法国的总统是谁？"].answers == ()
    assert "德国的首都是哪里？" not in examples
    assert len((tmp_path / "my-aligned" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()) == 2
    record = json.loads((tmp_path / "my-reward" / "record.json").read_text(encoding="utf-8"))
    assert record["result"]["steps"] >= 1


def test_the_python_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    build_index([sample_triples()], tmp_path / "my-index", progress=False)
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"```python\n(.*?)```", DOCS, re.DOTALL)
    exec(compile(example, "docs/feedback.md", "exec"), {})
    assert capsys.readouterr().out == "哥斯达黎加\n"
    assert {path.name for path in tmp_path.iterdir()} == {"my-index", "my-index.feedback.sqlite"}
