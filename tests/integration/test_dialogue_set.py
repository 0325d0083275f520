"""The dialogues that people wrote over the embedded sample, with the ranker that ships in the package."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from kb_index import build_index
from kbqa_agent import KBQAgent
from kbqa_agent.sample import sample_triples

DIALOGUES = Path(__file__).parents[2] / "benchmarks" / "dialogues"


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("sample") / "index"
    build_index([sample_triples()], folder, progress=False)
    with KBQAgent.open(folder, model="none") as opened:
        yield opened


@pytest.fixture
def measuring(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The program that measures all dialogues."""
    monkeypatch.syspath_prepend(str(DIALOGUES.parent))
    return import_module("dialogue_accuracy")


def test_most_turns_are_answered_rightly_and_few_would_be_alone(agent: KBQAgent, measuring: ModuleType) -> None:
    lines = (DIALOGUES / "by-hand-dev.jsonl").read_text(encoding="utf-8").splitlines()
    dialogues = [d for d in map(json.loads, lines) if d["kb"] == "sample"]
    assert len(dialogues) == 40
    judged = [turn for dialogue in dialogues for turn in measuring.judge(agent, dialogue, show=False)]
    followed = [turn for turn in judged if turn.kind not in ("first", "topic")]
    assert sum(turn.in_dialogue for turn in followed) / len(followed) > 0.8
    assert sum(turn.alone for turn in followed) / len(followed) < 0.3


def test_ids_are_unique_and_every_gold_triple_of_the_sample_is_there(agent: KBQAgent) -> None:
    dialogues = [
        json.loads(line)
        for path in sorted(DIALOGUES.glob("*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    assert len({d["id"] for d in dialogues}) == len(dialogues) == 180
    for turn in (turn for d in dialogues if d["kb"] == "sample" for turn in d["turns"]):
        for subject, predicate in turn["gold"]:
            entities = [e.id for e in agent.kb.entities_named(subject) if e.name == subject]
            assert any(t.predicate == predicate for t in agent.kb.triples_of(entities)), (subject, predicate)
