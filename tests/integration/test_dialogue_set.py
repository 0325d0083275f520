"""The dialogues that people wrote over the embedded sample, with the ranker that ships in the package."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kb_index import build_index
from kbqa_agent import Dialogue, KBQAgent
from kbqa_agent.sample import sample_triples
from kbqa_agent.silence import choices_of

DIALOGUES = Path(__file__).parents[2] / "benchmarks" / "dialogues"


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("sample") / "index"
    build_index([sample_triples()], folder, progress=False)
    with KBQAgent.open(folder, model="none") as opened:
        yield opened


def is_right(agent: KBQAgent, turn: dict, answer) -> bool:
    if turn["kind"] == "ask-back":
        return bool({c.triple.subject for c in choices_of(answer)} & {subject for subject, _ in turn["gold"]})
    gold = {tuple(pair) for pair in turn["gold"]}
    named = [e.id for subject, _ in gold for e in agent.kb.entities_named(subject)]
    return answer.text in {
        t.object for t in agent.kb.triples_of(sorted(set(named))) if (t.subject, t.predicate) in gold
    }


def test_most_turns_are_answered_rightly_and_few_would_be_alone(agent: KBQAgent) -> None:
    """benchmarks/dialogue_accuracy.py measures all of them; alone, no follow-up is understood."""
    lines = (DIALOGUES / "by-hand-dev.jsonl").read_text(encoding="utf-8").splitlines()
    dialogues = [d for d in map(json.loads, lines) if d["kb"] == "sample"]
    assert len(dialogues) == 40
    in_dialogue, alone = [], []
    for dialogue in dialogues:
        state = Dialogue()
        for turn in dialogue["turns"]:
            right = is_right(agent, turn, agent.ask(turn["say"], state))
            if turn["kind"] not in ("first", "topic"):
                in_dialogue.append(right)
                alone.append(is_right(agent, turn, agent.ask(turn["say"])))
    assert sum(in_dialogue) / len(in_dialogue) > 0.8
    assert sum(alone) / len(alone) < 0.3


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
