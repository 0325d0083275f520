"""Trainings that are killed, or that cannot go on; those of several processes are in test_many_processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs the extra [models]")

from finetune import sft  # noqa: E402 - after the check for torch
from finetune.config import SFTConfig  # noqa: E402
from kb_index.errors import InputError, ModelError, TrainingError  # noqa: E402
from kbqa_agent.text2text import write_text2text  # noqa: E402

ROOT = Path(__file__).parents[2]
ROWS = [
    (f"【{name}】\n作者：{author}\n问：《{name}》是谁写的？\n答：", author)
    for name in ("坛经", "高等数学", "武汉", "面积")
    for author in ("惠能", "同济大学", "唐", "中国", "人口")
]
TRAINING = """
import json, os, signal, sys
from pathlib import Path
from finetune import sft, trainer
from finetune.config import SFTConfig

settings, dies_at = json.loads(sys.argv[1]), int(sys.argv[2])

def die(self, args, state, control, **kwargs):
    if state.global_step == dies_at:
        os.kill(os.getpid(), signal.SIGKILL)

trainer.MetricsFile.on_step_begin = die
paths = {name: Path(settings.pop(name)) for name in ("data", "out")}
sft.run(SFTConfig(**paths, **settings), progress=False)
"""


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rows") / "rows.json"
    write_text2text(ROWS, path)
    return path


def settings_for(model: Path, rows: Path, out: Path, **settings: object) -> dict[str, object]:
    fixed = {"rank": 4, "alpha": 8, "max_steps": 6, "max_tokens": 128, "learning_rate": 1e-2}
    steps = {"save_every": 2, "validate_every": 2, "log_every": 1, "validation_share": 0.1}
    return {"data": str(rows), "out": str(out), "model": str(model), **fixed, **steps, **settings}


def config_for(model: Path, rows: Path, out: Path, **settings: object) -> SFTConfig:
    given = settings_for(model, rows, out, **settings)
    return SFTConfig(**given | {"data": rows, "out": out})


def train_apart(settings: dict[str, object], dies_at: int) -> int:
    """Train in a process of its own; gives the exit status."""
    program = Path(str(settings["out"])).with_suffix(".py")
    program.write_text(TRAINING, encoding="utf-8")
    return subprocess.run(
        [sys.executable, str(program), json.dumps(settings), str(dies_at)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=240,
        check=False,
    ).returncode


def metrics(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize("extra", [{"dropout": 0.1}, {"full": True, "learning_rate": 1e-3}])
def test_a_killed_and_resumed_training_ends_with_the_weights_of_an_unbroken_one(tiny_models, rows, tmp_path, extra):
    from safetensors.torch import load_file

    whole, broken = (config_for(tiny_models["llama"], rows, tmp_path / name, **extra) for name in ("whole", "broken"))
    sft.run(whole, progress=False)
    settings = settings_for(tiny_models["llama"], rows, broken.out, **extra)
    assert train_apart(settings, dies_at=5) == -signal.SIGKILL
    assert not list(broken.out.glob("*.safetensors"))
    sft.run(replace(broken, resume=True), progress=False)
    (path,) = (whole.out / "checkpoints" / "checkpoint-6").glob("*model.safetensors")
    expected = load_file(path)  # float32, as it was trained
    found = load_file(broken.out / "checkpoints" / "checkpoint-6" / path.name)
    assert found.keys() == expected.keys()
    for name, tensor in found.items():
        assert torch.equal(tensor, expected[name]), name
    losses = [[(line["step"], line.get("loss")) for line in metrics(config.out)] for config in (whole, broken)]
    assert losses[0] == losses[1]
    assert [line.get("part", 0) for line in metrics(broken.out) if "loss" in line] == [0, 0, 0, 0, 1, 1]


def test_processes_that_cannot_share_a_step_are_told_so(tiny_models, rows, tmp_path, monkeypatch):
    from finetune import arguments

    monkeypatch.setattr(arguments, "n_processes", lambda: 3)
    with pytest.raises(InputError, match=r"rows_per_step=8: expected a multiple of rows_at_once=8 times 3 processes"):
        sft.run(config_for(tiny_models["gpt2"], rows, tmp_path), progress=False)


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_a_loss_that_is_no_number_stops_the_training_and_keeps_the_last_checkpoint(
    tiny_models, rows, tmp_path, monkeypatch, what
):
    from safetensors.torch import load_file

    from finetune import trainer

    whole, calls = trainer.answer_loss, []

    def breaks(model, inputs, through_head):
        calls.append(model.training)
        loss = whole(model, inputs, through_head)
        if sum(calls) < 4 or not model.training:
            return loss
        return loss * float("nan") if what == "loss" else loss + 0 * (loss - loss.detach()).sqrt()

    monkeypatch.setattr(trainer, "answer_loss", breaks)
    with pytest.raises(TrainingError) as error:
        sft.run(config_for(tiny_models["gpt2"], rows, tmp_path), progress=False)
    kept = tmp_path / "checkpoints" / "checkpoint-2"
    assert str(error.value) == (
        f"step 4: the loss or its gradient is not a number; '{kept}' is the last good checkpoint; lower "
        f"--learning-rate and go on from it: --adapter '{kept}' (or --model, where all weights are trained) "
        "and another --out"
    )
    assert all(torch.isfinite(tensor).all() for tensor in load_file(kept / "adapter_model.safetensors").values())
    monkeypatch.setattr(trainer, "answer_loss", whole)
    config = config_for(tiny_models["gpt2"], rows, tmp_path / "on", adapter=kept, learning_rate=1e-4, max_steps=1)
    assert sft.run(config, progress=False).steps == 1


@pytest.mark.parametrize(
    ("setting", "advice"),
    [
        ({"rows_at_once": 4}, "lower --rows-at-once to 2 (now 4), which leaves the steps as they are"),
        ({"rows_at_once": 1}, "add --gradient-checkpointing"),
        ({"rows_at_once": 1, "gradient_checkpointing": True, "full": True}, "train a LoRA adapter instead"),
        ({"rows_at_once": 1, "gradient_checkpointing": True}, "lower --max-tokens to 64"),
    ],
)
def test_a_full_memory_names_the_setting_to_lower(tiny_models, rows, tmp_path, monkeypatch, setting, advice):
    from finetune import trainer

    whole = trainer.answer_loss

    def fills(model, inputs, through_head):
        if model.training:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return whole(model, inputs, through_head)

    monkeypatch.setattr(trainer, "answer_loss", fills)
    with pytest.raises(TrainingError, match=r"^out of memory; ") as raised:
        sft.run(config_for(tiny_models["gpt2"], rows, tmp_path, **setting), progress=False)
    assert advice in str(raised.value)


def test_a_model_that_memory_does_not_hold_is_named_with_what_helps(tiny_models, rows, tmp_path, monkeypatch):
    from transformers import AutoModelForCausalLM

    def fills(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", fills)
    with pytest.raises(ModelError, match=r"out of memory while loading; choose a smaller one; .* --four-bit"):
        sft.run(config_for(tiny_models["gpt2"], rows, tmp_path), progress=False)
    monkeypatch.setattr(sft, "open_trainable", fills)
    with pytest.raises(TrainingError, match=r"^out of memory; choose a smaller model, or add --four-bit"):
        sft.run(config_for(tiny_models["gpt2"], rows, tmp_path), progress=False)


def test_a_start_that_is_never_beaten_is_not_reported_as_the_result(tiny_models, rows, tmp_path, caplog):
    good = config_for(tiny_models["llama"], rows, tmp_path / "good", max_steps=40)
    start = sft.run(good, progress=False).loss_after
    worse = config_for(tiny_models["llama"], rows, tmp_path / "worse", adapter=good.out, learning_rate=0.5, patience=2)
    result = sft.run(worse, progress=False)
    losses = [line["validation_loss"] for line in metrics(worse.out) if "validation_loss" in line]
    assert losses[0] == pytest.approx(start, rel=0.02)
    assert result.loss_after == min(losses[1:]) > losses[0]
    assert "no validation was better than the start's" in caplog.text
    again = config_for(tiny_models["llama"], rows, tmp_path / "again", adapter=worse.out, max_steps=1)
    assert sft.run(again, progress=False).loss_before == pytest.approx(result.loss_after, rel=0.02)


def test_a_training_that_no_longer_gets_better_stops_and_keeps_its_best_weights(tiny_models, rows, tmp_path):
    config = config_for(tiny_models["llama"], rows, tmp_path / "a", learning_rate=0.3, max_steps=40, patience=2)
    result = sft.run(config, progress=False)
    losses = [line["validation_loss"] for line in metrics(config.out) if "validation_loss" in line]
    assert result.steps < 40
    assert result.loss_after == min(losses) < losses[-1]
    again = config_for(tiny_models["llama"], rows, tmp_path / "b", adapter=tmp_path / "a", max_steps=1)
    assert sft.run(again, progress=False).loss_before == pytest.approx(min(losses), rel=0.02)


def test_gradient_checkpointing_changes_memory_and_not_the_losses(tiny_model, rows, tmp_path):
    plain, sparing = (
        config_for(tiny_model, rows, tmp_path / str(on), gradient_checkpointing=on, max_steps=3) for on in (False, True)
    )
    for config in (plain, sparing):
        sft.run(config, progress=False)
    losses = [[line["loss"] for line in metrics(config.out) if "loss" in line] for config in (plain, sparing)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_the_rate_warms_up_and_falls_to_a_tenth(tiny_models, rows, tmp_path):
    config = config_for(tiny_models["gpt2"], rows, tmp_path, max_steps=20, warmup_share=0.1, validation_share=0.0)
    sft.run(replace(config, learning_rate=1e-3), progress=False)
    rates = [line["learning_rate"] for line in metrics(tmp_path)]
    assert rates[0] == 0.0
    assert max(rates) == pytest.approx(1e-3)
    assert rates[2:] == sorted(rates[2:], reverse=True)
    assert rates[-1] == pytest.approx(1e-4, rel=0.1)
