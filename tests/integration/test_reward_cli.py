"""`kbqa finetune reward` from its command line to scores, on files and on questions over an index."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import cli
from finetune.preferences import Preference, read_preferences, write_preferences
from kb_index import build_index
from kbqa_agent.qa_data import write_nlpcc
from kbqa_agent.types import QAExample

pytest.importorskip("torch", reason="needs the extra [models]")

BOOKS = {"坛经": "惠能", "高等数学": "同济大学", "论语": "孔子", "史记": "司马迁"}


def kbqa(*arguments: object) -> Result:
    return CliRunner().invoke(cli.main, ["finetune", "reward", *map(str, arguments)])


@pytest.fixture
def options(tiny_models: dict[str, Path], tmp_path: Path) -> tuple[object, ...]:
    """A short training of the tiny GPT-2, into the folder `reward`."""
    return ("--model", tiny_models["gpt2"], "--out", tmp_path / "reward", "--steps", 1, "--max-tokens", 128)


def test_files_of_several_forms(options, tmp_path: Path) -> None:
    write_preferences([Preference("问：谁？\n答：", "惠能", "神秀")], tmp_path / "own")
    (tmp_path / "ranked").write_text('[{"instruction": "何时？", "output": ["唐", "宋", "元"]}]', encoding="utf-8")
    result = kbqa("--preferences", tmp_path / "own", "--preferences", tmp_path / "ranked", *options)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"{tmp_path / 'reward'}: 1 steps on ")
    assert "held-out pairs" in result.stdout
    assert "after shuffled labels" in result.stdout
    assert len(read_preferences(tmp_path / "reward" / "pairs.jsonl").pairs) == 4


@pytest.mark.parametrize(("n_pairs", "warned"), [(7, "only 1 pairs were held out"), (150, None)])
def test_an_accuracy_on_few_pairs_is_not_to_be_relied_on(options, tmp_path: Path, caplog, n_pairs, warned) -> None:
    pairs = [Preference(f"问：书{i}是谁写的？\n答：", "惠能", "神秀") for i in range(n_pairs)]
    write_preferences(pairs, tmp_path / "pairs")
    assert kbqa("--preferences", tmp_path / "pairs", "--no-control", *options).exit_code == 0
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert [message.split(",")[0] for message in told] == ([warned] if warned else [])


def test_questions_over_an_index(options, tmp_path: Path) -> None:
    lines = [f"{name} ||| 作者 ||| {author}\n{name} ||| 页数 ||| 350" for name, author in BOOKS.items()]
    (tmp_path / "facts.kb").write_text("\n".join(lines) + "\n", encoding="utf-8")
    build_index([tmp_path / "facts.kb"], tmp_path / "index", progress=False)
    examples = [QAExample(name, f"{name}的作者是谁？", (author,), None) for name, author in BOOKS.items()]
    write_nlpcc(examples, tmp_path / "questions.nlpcc")
    questions = ("--questions", tmp_path / "questions.nlpcc")
    result = kbqa(*questions, "--index", tmp_path / "index", "--limit", 3, "--no-control", *options)
    assert result.exit_code == 0, result.output
    assert "after shuffled labels" not in result.stdout
    pairs = read_preferences(tmp_path / "reward" / "pairs.jsonl").pairs
    assert {(pair.chosen, pair.rejected) for pair in pairs} <= {(author, "350") for author in BOOKS.values()}
    assert len(pairs) == 3
    assert pairs[0].prompt.endswith("的作者是谁？\n答：")
    assert json.loads((tmp_path / "reward" / "record.json").read_text(encoding="utf-8"))["result"]["steps"] == 1
    refused = kbqa(*questions, *options)
    assert (refused.exit_code, "expected an --index" in refused.stderr) == (1, True)


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_a_plan_counts_what_the_training_trains_and_writes_nothing(
    tiny_models: dict[str, Path], tmp_path: Path, family: str
) -> None:
    from finetune.plan import counted
    from finetune.reward_network import open_reward_base, with_reward_adapter

    pairs = [Preference(f"问：书{i}是谁写的？\n答：", "惠能", worse) for i in range(20) for worse in ("神秀", "慧能")]
    write_preferences(pairs, tmp_path / "pairs")
    options = ("--model", tiny_models[family], "--out", tmp_path / "reward", "--plan")
    result = kbqa("--preferences", tmp_path / "pairs", *options)
    assert result.exit_code == 0, result.output
    base = open_reward_base(str(tiny_models[family]), progress=False)
    _, n_trained = counted(with_reward_adapter(base, 16, 32))
    assert f", of which {n_trained:,} (" in result.stdout
    assert "rows          16 of 32 pairs, and 8 pairs to measure by, the longest of " in result.stdout
    assert "steps         2; as many again for the control\n" in result.stdout
    assert not (tmp_path / "reward").exists()


def test_a_plan_refuses_what_the_training_would(tiny_models: dict[str, Path], tmp_path: Path) -> None:
    write_preferences([Preference(f"问：书{i}是谁写的？\n答：", "惠能", "神秀") for i in range(9)], tmp_path / "pairs")
    given = ("--preferences", tmp_path / "pairs", "--model", tiny_models["gpt2"], "--no-control")
    for options, reason in (
        (("--out", tmp_path / "out", "--adapter", "shipped"), "adapter "),
        (("--out", tmp_path / "out", "--max-tokens", 16), "fit into 16 tokens"),
        (("--out", tmp_path), "there already, and without a record.json"),
    ):
        planned, trained = kbqa(*given, *options, "--plan"), kbqa(*given, *options)
        assert (planned.exit_code, planned.stdout, planned.stderr) == (1, "", trained.stderr)
        assert reason in planned.stderr
        assert planned.stderr.count("\n") == 1


def test_wrong_use(options, tmp_path: Path) -> None:
    assert kbqa(*options).exit_code == 2
    missing = kbqa("--preferences", tmp_path / "none.jsonl", *options)
    assert missing.exit_code == 1
    assert missing.stderr.startswith(f"kbqa: {tmp_path / 'none.jsonl'}: cannot be read (")
    assert missing.stderr.count("\n") == 1
