"""What is sent to other processes: how an agent is opened, and what went wrong there."""

import pickle
from pathlib import Path

import pytest

from kb_index import errors
from kb_index.errors import KBQAError, MissingExtraError
from kbqa_agent import AgentConfig
from kbqa_agent.recipe import AgentRecipe


def test_paths_hold_anywhere_and_names_stay_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "adapter").mkdir()
    here = AgentRecipe(Path("index"), AgentConfig(), model="gpt2", adapter="adapter")
    there = here.from_anywhere()
    assert there.index == tmp_path / "index"
    assert (there.ranker, there.model, there.adapter) == (None, "gpt2", str(tmp_path / "adapter"))
    assert pickle.loads(pickle.dumps(there)) == there
    assert there.without_model() == AgentRecipe(tmp_path / "index", AgentConfig())


@pytest.mark.parametrize("kind", [getattr(errors, name) for name in errors.__all__])
def test_errors_are_the_same_after_their_way(kind: type[KBQAError]):
    error = kind("ray", "ray") if kind is MissingExtraError else kind("what was got; what to do")
    arrived = pickle.loads(pickle.dumps(error))
    assert (type(arrived), str(arrived)) == (kind, str(error))
