"""Processes that rank: one that hangs or is killed is started again, nobody waits for it, and all end when closed."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="needs the extra [serve]")

from kb_index import build_index
from kbqa_agent import AgentConfig
from kbqa_agent.serving.rank_process import AgentRecipe, Task
from kbqa_agent.serving.rank_processes import RankProcesses
from kbqa_agent.serving.ranking_alone import Way
from kbqa_agent.serving.systems import Fleet, FleetClosedError, Source, systems_of

LINES = "法国 ||| 首都 ||| 巴黎\n德国 ||| 首都 ||| 柏林\n"
TASK = Task("法国的首都是哪里？", None, Way(None), False)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranked")
    build(folder)
    return AgentRecipe(folder / "index", AgentConfig(), ranker="lexical")


def build(folder):
    (folder / "triples.kb").write_text(LINES, encoding="utf-8")
    build_index([folder / "triples.kb"], folder / "index", progress=False)


def started(recipe, patience):
    with recipe.open() as agent:
        processes = RankProcesses(recipe, agent.kb.manifest, 1, 0.0, patience=patience)
    processes.wait_until_open()
    return processes


def until(condition):
    ends = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.05)


@pytest.mark.slow
def test_a_process_that_hangs_is_killed_and_started_again(recipe, tmp_path, monkeypatch):
    module = tmp_path / "selectors.py"  # the first thing that a process of ours imports, and would find here
    module.write_text("raise ImportError('not ours')", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    processes = started(recipe, patience=5.0)
    try:
        assert processes.submit(TASK).result(60).answer.text == "巴黎"
        [child] = processes._children
        child.send_signal(signal.SIGSTOP)
        assert processes.submit(TASK).result(60) is None  # the server does it itself
        until(lambda: processes.n_alive and child not in processes._children)
        assert processes.submit(TASK).result(60).answer.text == "巴黎"
        [child] = processes._children
        child.kill()
        assert processes.submit(TASK).result(60) is None
        until(lambda: processes.n_alive and child not in processes._children)
        [child] = processes._children
        child.send_signal(signal.SIGSTOP)
    finally:
        began = time.monotonic()
        processes.close()
        processes.join(1.0)
    child.wait(60)
    assert time.monotonic() - began < 20
    until(lambda: not processes.n_alive)
    assert processes.submit(TASK).result(60) is None


def test_an_index_that_a_reload_has_replaced_is_closed(recipe):
    folder = recipe.index
    with recipe.open() as agent:
        source = Source(agent, systems_of(agent), recipe)
        with source.use() as first:
            build(folder.parent)
            assert source.reload() is True
            assert first.base.kb.entities_named("法国")  # who is at it goes on
            assert replaced_files(folder)
        with pytest.raises(FleetClosedError), first.in_use():
            pass
        assert not replaced_files(folder)
        with source.use() as second:
            assert second is not first
            assert second.base.kb.entities_named("法国")
        source.close()
        with pytest.raises(Exception, match="the server is stopping"), source.use():
            pass


def replaced_files(folder):
    """What this process holds of files of the folder that are no longer there."""
    maps = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
    descriptors = [str(entry.readlink()) for entry in Path("/proc/self/fd").iterdir() if entry.exists()]
    return [path for path in [*maps, *descriptors] if folder.parent.name in path and "deleted" in path]


def test_a_fleet_that_was_closed_is_not_entered(agent_of):
    agent = agent_of(LINES)
    closed = []
    fleet = Fleet(agent, systems_of(agent), lambda: closed.append(True))
    with fleet.in_use():
        fleet.retire()
        assert not closed
    assert closed == [True]
    with pytest.raises(FleetClosedError), fleet.in_use():
        pass
