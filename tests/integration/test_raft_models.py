"""Small models of three architectures through all of fine-tuning: sft, reward, raft, eval."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

torch = pytest.importorskip("torch", reason="needs the extra [models]")

import cli  # noqa: E402 - after the check for torch
from finetune import raft, sft  # noqa: E402
from finetune.config import SFTConfig  # noqa: E402
from finetune.models import open_trainable  # noqa: E402
from finetune.preferences import Preference  # noqa: E402
from finetune.raft_config import RaftConfig  # noqa: E402
from finetune.raft_tools import Tools, real_tools, start_adapter  # noqa: E402
from finetune.reward import train_reward_model  # noqa: E402
from finetune.reward_config import RewardConfig  # noqa: E402
from kb_index import build_index  # noqa: E402
from kb_index.errors import InputError, ModelError  # noqa: E402
from kbqa_agent.generation import load_generator  # noqa: E402
from kbqa_agent.gguf_cache import embedded_gguf  # noqa: E402
from kbqa_agent.qa_data import write_nlpcc  # noqa: E402
from kbqa_agent.shipped import shipped_adapter  # noqa: E402
from kbqa_agent.text2text import Text2TextRow, write_text2text  # noqa: E402
from kbqa_agent.types import QAExample  # noqa: E402

NAMES = ("坛经", "数学", "武汉", "面积", "国家", "人口", "出版社", "高等", "教育", "中国")
ROWS = [Text2TextRow(f"【{name}】\n作者：惠能\n朝代：唐\n问：{name}的作者是谁？\n答：", "惠能") for name in NAMES]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an index, training and test questions, and rows of both."""
    folder = tmp_path_factory.mktemp("world")
    lines = [f"{name} ||| 作者 ||| 惠能\n{name} ||| 朝代 ||| 唐" for name in NAMES]
    (folder / "facts.kb").write_text("\n".join(lines) + "\n", encoding="utf-8")
    build_index([folder / "facts.kb"], folder / "index", progress=False)
    examples = [QAExample(name, f"{name}的作者是谁？", ("惠能",), (name, "作者", "惠能")) for name in NAMES]
    write_nlpcc(examples[:8], folder / "train.nlpcc")
    write_nlpcc(examples[8:], folder / "test.nlpcc")
    write_text2text(ROWS, folder / "rows.json")
    write_text2text(ROWS[:8], folder / "taught.json")  # the others can be held out
    return folder


def tuned(model: Path | str, world: Path, out: Path, steps: int = 12) -> Path:
    config = SFTConfig(data=world / "taught.json", out=out, model=str(model), rank=4, alpha=8, max_steps=steps)
    sft.run(replace(config, max_tokens=128, learning_rate=1e-2), progress=False)
    return out


def judge(model: Path | str, out: Path, steps: int) -> Path:
    preferences = [Preference(row.input, "惠能", "唐") for row in ROWS]
    train_reward_model(RewardConfig(out, str(model), max_steps=steps, control=False), preferences, progress=False)
    return out


def kbqa(*arguments: object) -> str:
    result = CliRunner().invoke(cli.main, list(map(str, arguments)))
    assert result.exit_code == 0, result.output
    return result.stdout


def rows_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.slow
def test_sft_reward_raft_eval(tiny_model: Path, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go_through_all(tiny_model, world, tmp_path, remembered_weights(monkeypatch))


@pytest.mark.slow
def test_the_embedded_model_goes_through_all(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        embedded_gguf()
    except ModelError as error:
        pytest.skip(str(error))
    monkeypatch.setenv("KBQA_CACHE", str(tmp_path / "cache"))
    go_through_all("embedded", world, tmp_path, remembered_weights(monkeypatch), steps=3)


def go_through_all(model: Path | str, world: Path, tmp_path: Path, seen: list[tuple], steps: int = 12) -> None:
    start, out = tuned(model, world, tmp_path / "sft", steps), tmp_path / "raft"
    reward_model = judge(model, tmp_path / "reward", steps=min(2, steps))
    seen.clear()
    asked = ("--questions", world / "train.nlpcc", "--index", world / "index", "--model", model)
    sizes = ("--stages", 1, "--batch", 6, "--samples", 3, "--held-out", world / "test.nlpcc", "--keep-decided")
    printed = kbqa(
        *("finetune", "raft", *asked, *sizes, "--adapter", start, "--reward-model", reward_model, "--out", out),
    )
    assert printed.startswith(f"{out}: stage ")
    assert "F1 on 2 held-out questions: sft " in printed
    assert {path.name for path in out.iterdir()} == {
        *("adapter_config.json", "adapter_model.safetensors", "metrics.jsonl", "record.json", "comparison.json"),
        *("curves.png", "stages", "training.jsonl", "held_out.jsonl"),
    }
    assert [row["stage"] for row in rows_of(out / "metrics.jsonl")] == [0, 1]
    training = json.loads((out / "stages" / "1" / "adapter" / "record.json").read_text(encoding="utf-8"))
    assert (len(seen), training["result"]["steps"]) == (1, 1)  # one step must move everything
    for trained, before in seen:
        assert any(parameter.requires_grad for parameter in trained.parameters())
        for name, parameter in trained.named_parameters():
            assert torch.equal(parameter, before[name]) != parameter.requires_grad, name
            assert ("lora_" in name) == parameter.requires_grad, name
    system = ("--index", world / "index", "--model", model, "--adapter", out, "--generator", "always")
    kbqa("eval", "--questions", world / "test.nlpcc", *system, "--out", tmp_path / "report")
    report = json.loads((tmp_path / "report" / "report.json").read_text(encoding="utf-8"))
    assert report["n_questions"] == 2
    assert str(out) in json.dumps(report["system"])


def remembered_weights(monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    """The models of all trainings to come, with copies of their weights at the start."""
    seen = []

    def remember(config):
        model, tokenizer = open_trainable(config)
        seen.append((model, {name: parameter.detach().clone() for name, parameter in model.named_parameters()}))
        return model, tokenizer

    monkeypatch.setattr(sft, "open_trainable", remember)
    return seen


def config_for(model: Path, world: Path, start: Path, out: Path) -> RaftConfig:
    config = RaftConfig(world / "rows.json", out, model=str(model), adapter=start, stages=2, batch=6, samples=3)
    return replace(config, held_out_questions=2, skip_decided=False, learning_rate=1e-2, epochs=2.0)


def test_a_model_that_was_tuned_as_a_whole_gets_a_new_adapter(tiny_models, world, tmp_path) -> None:
    from safetensors.torch import load_file

    whole = SFTConfig(world / "taught.json", tmp_path / "whole", str(tiny_models["gpt2"]), full=True, max_steps=30)
    sft.run(replace(whole, max_tokens=128, learning_rate=5e-3), progress=False)
    config = replace(config_for(whole.out, world, tmp_path / "none", tmp_path / "out"), adapter=None, stages=1)
    result = raft.run(config, progress=False)
    start, trained = (config.out / "stages" / stage / "adapter" for stage in ("0", "1"))
    first, second = (load_file(folder / "adapter_model.safetensors") for folder in (start, trained))
    assert all(not tensor.any() for name, tensor in first.items() if "lora_B" in name)
    assert any(tensor.any() for name, tensor in second.items() if "lora_B" in name)
    assert (tmp_path / "out" / "adapter_config.json").is_file()
    assert load_generator(whole.out, start).score(ROWS[0].input, ["惠能", "唐"]) == pytest.approx(
        load_generator(whole.out).score(ROWS[0].input, ["惠能", "唐"]), abs=1e-4
    )
    held_out = {row["prompt"] for row in rows_of(config.out / "stages" / "0" / "held_out.jsonl")}
    assert held_out == {row.input for row in ROWS[8:]}
    written = (start / "adapter_model.safetensors").stat().st_mtime_ns
    assert raft.run(replace(config, resume=True), progress=False).comparison == result.comparison
    assert (start / "adapter_model.safetensors").stat().st_mtime_ns == written


def test_a_plan_tells_what_a_stage_takes_and_does_nothing(tiny_models, world, tmp_path) -> None:
    start = tuned(tiny_models["llama"], world, tmp_path / "sft", steps=1)
    asked = ("--questions", world / "rows.json", "--model", tiny_models["llama"], "--adapter", start)
    sizes = ("--batch", 9, "--samples", 3, "--out", tmp_path / "out", "--plan")
    printed = kbqa("finetune", "raft", *asked, *sizes).splitlines()
    assert printed[0].startswith("model         LlamaForCausalLM, context 256 tokens")
    assert [line[:38] for line in printed if line.startswith("rows")] == ["rows          10, and 0 to validate by"]
    assert printed[-2] == "a stage       9 prompts, 27 samples; the rows and steps above at most"
    assert printed[-1].startswith("sampling      0.0")
    assert not (tmp_path / "out").exists()


def test_a_new_adapter_has_to_be_asked_for_on_other_models(tiny_models, world, tmp_path) -> None:
    config = replace(config_for(tiny_models["gpt2"], world, tmp_path, tmp_path / "out"), adapter=None)
    with pytest.raises(InputError, match=r"without an adapter: .* or say --adapter none where the model is one"):
        raft.run(config, progress=False)
    assert start_adapter(replace(config, adapter=Path("none"))) is None
    assert start_adapter(replace(config, adapter=Path("shipped"))) == shipped_adapter()


class Killed(BaseException):
    pass


@pytest.mark.slow
def test_a_training_killed_in_its_second_stage_ends_with_the_same_weights(tiny_models, world, tmp_path) -> None:
    from safetensors.torch import load_file

    start = tuned(tiny_models["llama"], world, tmp_path / "sft")
    config = config_for(tiny_models["llama"], world, start, tmp_path / "whole")
    raft.run(config, progress=False)
    broken = replace(config, out=tmp_path / "broken")
    tools = real_tools(broken, progress=False)

    def die_in_the_second(settings: SFTConfig, conversations: Sequence) -> object:
        if settings.out.parent.name == "2":
            raise Killed
        return tools.train(settings, conversations)

    with pytest.raises(Killed):
        raft.run(broken, progress=False, tools=Tools(tools.open_policy, die_in_the_second))
    raft.run(replace(broken, resume=True), progress=False)
    for stage in ("1", "2"):
        for name in ("samples.jsonl", "rewards.jsonl", "kept.jsonl", "held_out.jsonl"):
            whole, resumed = (c.out / "stages" / stage / name for c in (config, broken))
            assert whole.read_bytes() == resumed.read_bytes(), (stage, name)
        whole, resumed = (
            load_file(c.out / "stages" / stage / "adapter" / "adapter_model.safetensors") for c in (config, broken)
        )
        assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_the_real_tools_hold_one_generator_at_a_time(tiny_models, world, tmp_path) -> None:
    start = tuned(tiny_models["gpt2"], world, tmp_path / "sft")
    tools = real_tools(config_for(tiny_models["gpt2"], world, start, tmp_path / "out"), progress=False)
    first = tools.open_policy(start)
    assert tools.open_policy(start) is first
    assert first.name.endswith("+sft")


def test_an_adapter_for_another_model_is_named(tiny_models, world, tmp_path) -> None:
    start = tuned(tiny_models["gpt2"], world, tmp_path / "sft")
    with pytest.raises(ModelError, match="adapter"):
        raft.run(config_for(tiny_models["llama"], world, start, tmp_path / "out"), progress=False)


def test_training_and_held_out_questions_that_overlap_are_one_line(tiny_models, world, tmp_path) -> None:
    start = tuned(tiny_models["gpt2"], world, tmp_path / "sft")
    arguments = ["finetune", "raft", "--questions", world / "train.nlpcc", "--held-out", world / "train.nlpcc"]
    arguments += ["--closed-book", "--model", tiny_models["gpt2"], "--adapter", start, "--out", tmp_path / "out"]
    result = CliRunner().invoke(cli.main, list(map(str, arguments)))
    assert result.exit_code == 1
    assert "8 of its questions are in" in result.stderr
    assert result.stderr.count("\n") == 1
    assert load_generator(tiny_models["gpt2"], start).adapter == str(start)
