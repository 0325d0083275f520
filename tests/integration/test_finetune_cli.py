"""`kbqa finetune sft` from its command line to the answer that the adapter gives."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

import cli
from kb_index import build_index
from kbqa_agent.qa_data import write_nlpcc
from kbqa_agent.text2text import read_text2text
from kbqa_agent.types import QAExample

pytest.importorskip("torch", reason="needs the extra [models]")

FACTS = {"坛经": ("作者", "惠能"), "高等数学": ("作者", "同济大学"), "武汉": ("国家", "中国"), "惠能": ("朝代", "唐")}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an index and questions about it."""
    lines = [f"{s} ||| {p} ||| {o}\n{s} ||| 面积 ||| 1232" for s, (p, o) in FACTS.items()]
    (tmp_path / "facts.kb").write_text("\n".join(lines) + "\n", encoding="utf-8")
    build_index([tmp_path / "facts.kb"], tmp_path / "index", progress=False)
    examples = [QAExample(s, f"{s}的{p}是什么？", (o,), (s, p, o)) for s, (p, o) in FACTS.items()]
    write_nlpcc(examples, tmp_path / "questions.nlpcc")
    return tmp_path


def kbqa(*arguments: object) -> str:
    """What a call that ends well prints to standard output."""
    result = CliRunner().invoke(cli.main, list(map(str, arguments)))
    assert result.exit_code == 0, result.output
    return result.stdout


def test_an_adapter_is_trained_and_answers(tiny_models: dict[str, Path], folder: Path) -> None:
    model, index, out = tiny_models["llama"], folder / "index", folder / "adapter"
    questions = ("--questions", folder / "questions.nlpcc", "--index", index)
    printed = kbqa("finetune", "sft", *questions, "--model", model, "--out", out, "--steps", 3)
    assert printed.startswith(f"{out}: 3 steps on 3 rows in ")
    assert {path.name for path in out.iterdir()} >= {
        *("adapter_config.json", "adapter_model.safetensors", "metrics.jsonl", "record.json", "rows.json")
    }
    assert {row.output for row in read_text2text(out / "rows.json")} <= {o for _, o in FACTS.values()} | {"不知道"}
    assert json.loads((out / "record.json").read_text(encoding="utf-8"))["result"]["steps"] == 3
    options = ("--index", index, "--model", model, "--adapter", out, "--generator", "always", "--json")
    answer = json.loads(kbqa("ask", "坛经的作者是什么？", *options))
    assert {candidate["answer"] for candidate in answer["candidates"]} == {"惠能", "1232"}
    assert "score" in answer["timings_ms"]


def test_no_model_is_one_line(folder: Path) -> None:
    arguments = ["--questions", "questions.nlpcc", "--closed-book", "--out", "adapter"]
    arguments = [str(folder / a) if a in ("questions.nlpcc", "adapter") else a for a in arguments]
    result = CliRunner().invoke(cli.main, ["finetune", "sft", *arguments], env={"KBQA_MODEL": "none"})
    assert result.exit_code == 1
    assert result.stderr == "kbqa: model 'none': training needs a model; name one with --model, such as 'embedded'\n"


def test_a_plan_is_told_and_nothing_is_written(tiny_models: dict[str, Path], folder: Path) -> None:
    options = ("--model", tiny_models["opt"], "--out", folder / "out", "--plan", "--lora-on", "attention")
    printed = kbqa("finetune", "sft", "--questions", folder / "questions.nlpcc", "--index", folder / "index", *options)
    assert "LoRA on       self_attn.k_proj, self_attn.out_proj, self_attn.q_proj, self_attn.v_proj\n" in printed
    assert "rows          3, and 1 to validate by, the longest of " in printed
    assert "steps         1\n" in printed
    assert not (folder / "out").exists()


def test_a_plan_refuses_what_the_training_would(tiny_models: dict[str, Path], folder: Path) -> None:
    given = ("--questions", folder / "questions.nlpcc", "--closed-book", "--model", tiny_models["gpt2"])
    for options, reason in (
        (("--out", folder / "out", "--adapter", folder / "index"), "has no adapter_config.json; expected a folder"),
        (("--out", folder / "index"), "there already, and without a record.json; it is left as it is"),
    ):
        arguments = ["finetune", "sft", *map(str, (*given, *options))]
        planned, trained = (CliRunner().invoke(cli.main, [*arguments, *plan]) for plan in (["--plan"], []))
        assert (planned.exit_code, planned.stdout, planned.stderr) == (1, "", trained.stderr)
        assert reason in planned.stderr
        assert planned.stderr.count("\n") == 1


def test_a_preset_gives_way_to_what_the_user_chose(tiny_models: dict[str, Path], folder: Path) -> None:
    questions = ("--questions", folder / "questions.nlpcc", "--closed-book", "--out", folder / "out")
    chosen = ("--preset", "llama-7b", "--model", tiny_models["llama"], "--rank", 2, "--rows-per-step", 4, "--steps", 1)
    kbqa("finetune", "sft", *questions, *chosen)
    settings = json.loads((folder / "out" / "record.json").read_text(encoding="utf-8"))["config"]
    assert settings | {"lora_on": "attention", "learning_rate": 3e-4, "rank": 2, "rows_per_step": 4} == settings


def test_held_out_questions_are_not_trained_on(folder: Path) -> None:
    questions = folder / "questions.nlpcc"
    arguments = ["--questions", questions, "--closed-book", "--out", folder / "out", "--held-out", questions]
    result = CliRunner().invoke(cli.main, ["finetune", "sft", *map(str, arguments)])
    assert result.exit_code == 1
    assert result.stderr.startswith(f"kbqa: {questions}: 4 of its questions are in {questions} too (")
    assert len((folder / "out.overlap.tsv").read_text(encoding="utf-8").splitlines()) == 4


def test_a_run_is_drawn_and_its_adapter_merged(tiny_models: dict[str, Path], folder: Path) -> None:
    model, out = tiny_models["gpt2"], folder / "out"
    kbqa("finetune", "sft", "--questions", folder / "questions.nlpcc", "--closed-book", "--model", model, "--out", out)
    assert kbqa("finetune", "plot", out, "--out", folder / "loss.svg") == f"{folder / 'loss.svg'}\n"
    kbqa("finetune", "merge", "--model", model, "--adapter", out, "--out", folder / "whole")
    assert (folder / "whole" / "model.safetensors").is_file()
