"""The README's Python runs, and its commands exist."""

import re
from pathlib import Path

from click.testing import CliRunner

from cli import main
from kb_index import build_index
from kbqa_agent.sample import sample_triples

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_python_examples_run_as_they_are_printed(tmp_path, monkeypatch, capsys):
    build_index([sample_triples()], tmp_path / "my-index", progress=False)
    monkeypatch.chdir(tmp_path)
    for example in re.findall(r"```python\n(.*?)```", README, re.DOTALL):
        exec(compile(example, "README.md", "exec"), {})
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("巴黎 0.")
    assert printed[1:3] == ["东京", "['惠能']"]
    assert "extra=({'source': 'a.txt'},)" in printed[3]
    assert "name='惠能'" in printed[4]


def test_the_commands_that_it_names_exist():
    named = set(re.findall(r"kbqa ((?:finetune )?[a-z]+)\b", README))
    assert {"index", "ask", "eval", "finetune ranker", "finetune sft"} <= named
    for command in named - {"finetune"}:
        result = CliRunner().invoke(main, [*command.split(), "--help"])
        assert result.exit_code == 0, command


def test_both_commands_of_the_first_screen_are_targets_of_the_makefile():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    first_screen = "\n".join(README.splitlines()[:20])
    assert set(re.findall(r"make ([a-z]+)", first_screen)) == {"demo", "test"} <= targets
