"""What is sent to other processes: how an agent is opened, and what went wrong there."""

import pickle
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli import main
from kb_index import build_index, errors
from kb_index.errors import KBQAError, MissingExtraError
from kbqa_agent import AgentConfig
from kbqa_agent.recipe import AgentRecipe
from kbqa_agent.sample import sample_test


def test_paths_hold_anywhere_and_names_stay_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "adapter").mkdir()
    here = AgentRecipe(Path("index"), AgentConfig(), model="gpt2", adapter="adapter")
    there = here.from_anywhere()
    assert there.index == tmp_path / "index"
    assert (there.ranker, there.model, there.adapter) == (None, "gpt2", str(tmp_path / "adapter"))
    assert pickle.loads(pickle.dumps(there)) == there
    assert there.without_model() == AgentRecipe(tmp_path / "index", AgentConfig())


@pytest.mark.parametrize("command", [["eval", "--questions", str(sample_test()), "--out", "out"], ["serve"]])
def test_who_has_no_ray_is_told_how_to_get_it(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "ray", None)
    Path("kb").write_text("坛经 ||| 作者 ||| 惠能\n", encoding="utf-8")
    build_index([Path("kb")], Path("index"), progress=False)
    done = CliRunner().invoke(main, [*command, "--index", "index", "--engine", "ray", "--model", "none"])
    assert (done.exit_code, "ray is not installed" in done.stderr) == (1, True)
    assert "pip install 'kbqa[ray]'" in done.stderr


@pytest.mark.parametrize("kind", [getattr(errors, name) for name in errors.__all__])
def test_errors_are_the_same_after_their_way(kind: type[KBQAError]):
    error = kind("ray", "ray") if kind is MissingExtraError else kind("what was got; what to do")
    arrived = pickle.loads(pickle.dumps(error))
    assert (type(arrived), str(arrived)) == (kind, str(error))
