"""An evaluation that is ended early goes on where it was; one that is whole can be read in place of asked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from eval.runner import EvalOptions, evaluate
from kb_index import build_index
from kbqa_agent import AgentConfig, KBQAgent
from kbqa_agent.qa_data import read_questions
from kbqa_agent.sample import sample_test, sample_triples
from kbqa_agent.types import Answer

N = 40
TOGETHER = 15


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KBQAgent]:
    folder = tmp_path_factory.mktemp("resumed")
    build_index([sample_triples()], folder / "index", progress=False)
    with KBQAgent.open(folder / "index", model="none") as agent:
        yield agent


@pytest.fixture
def asked(agent: KBQAgent, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The questions that were put to the agent; it is killed once, after so many."""
    put: list[str] = []
    ask_many = KBQAgent.ask_many

    def noting(self: KBQAgent, questions: Sequence[str]) -> Iterator[Answer]:
        for question, answer in zip(questions, ask_many(self, questions), strict=True):
            if len(put) == TOGETHER and "killed" not in put:
                put.append("killed")
                raise KeyboardInterrupt
            put.append(question)
            yield answer

    monkeypatch.setattr(KBQAgent, "ask_many", noting)
    return put


def untimed(folder: Path) -> dict[str, object]:
    """All that does not depend on the clock."""
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    del report["seconds"], report["questions_per_second"], report["system"]["rows_sha256"]
    rows = [json.loads(line) for line in (folder / "per_question.jsonl").read_text(encoding="utf-8").split("\n")[:-1]]
    for row in rows:
        del row["timings_ms"]
    return {"report": report, "rows": rows, "predictions": (folder / "predictions.nlpcc").read_bytes()}


def test_what_was_asked_before_the_end_is_not_asked_again(agent: KBQAgent, asked: list[str], tmp_path: Path) -> None:
    examples = read_questions(sample_test())[:N]
    with pytest.raises(KeyboardInterrupt):
        evaluate(agent, examples, tmp_path / "killed")
    (journal,) = (tmp_path / "killed").iterdir()
    with journal.open("ab") as stream:
        stream.write(b'[0.1, {"id": "half a li')  # as a kill within a write leaves it
    evaluate(agent, examples, tmp_path / "killed")
    assert asked == [*(e.question for e in examples[:TOGETHER]), "killed", *(e.question for e in examples[TOGETHER:])]
    assert not journal.exists()
    evaluate(agent, examples, tmp_path / "whole")
    assert untimed(tmp_path / "killed") == untimed(tmp_path / "whole")


def test_other_settings_begin_anew(agent: KBQAgent, asked: list[str], tmp_path: Path) -> None:
    examples = read_questions(sample_test())[:N]
    with pytest.raises(KeyboardInterrupt):
        evaluate(agent, examples, tmp_path / "out")
    (before,) = (tmp_path / "out").iterdir()
    mine = tmp_path / "out" / "asked-by-users.jsonl"
    mine.write_text("mine", encoding="utf-8")
    del asked[:-1]
    other = KBQAgent(agent.kb, agent.ranker, None, AgentConfig(max_candidates=3))
    evaluate(other, examples, tmp_path / "out")
    assert asked == ["killed", *(e.question for e in examples)]
    assert not before.exists()
    assert mine.read_text(encoding="utf-8") == "mine"


def test_answers_of_the_same_agent_can_be_read_in_place_of_asked(
    agent: KBQAgent, asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked.append("killed")
    examples = read_questions(sample_test())[:N]
    first = evaluate(agent, examples, tmp_path / "out")
    n_asked = len(asked)
    again = evaluate(agent, examples, tmp_path / "out", EvalOptions(reuse=True))
    assert len(asked) == n_asked
    assert again.report == first.report
    monkeypatch.setattr("eval.runner._git_commit", lambda file: "another commit")
    assert evaluate(agent, examples, tmp_path / "out", EvalOptions(reuse=True)).report == first.report
    rows = tmp_path / "out" / "per_question.jsonl"
    rows.write_text(rows.read_text(encoding="utf-8").replace("南非", "北非"), encoding="utf-8")
    evaluate(agent, examples, tmp_path / "out", EvalOptions(reuse=True))
    assert len(asked) == n_asked + N  # what others changed is not believed
