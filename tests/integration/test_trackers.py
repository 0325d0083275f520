"""Metrics in the files of real trackers, offline."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the extra [models]")

from finetune import sft, trackers
from finetune.arguments import training_arguments
from finetune.config import SFTConfig
from finetune.preferences import Preference
from finetune.reward import train_reward_model
from finetune.reward_config import RewardConfig
from kb_index.errors import InputError
from kbqa_agent.text2text import write_text2text


def train(model: Path, folder: Path, tracker: str) -> SFTConfig:
    write_text2text([(f"问：{n}？\n答：", str(n)) for n in range(12)], folder / "rows.json")
    fixed = {"rank": 2, "max_steps": 3, "max_tokens": 64, "log_every": 1}
    config = SFTConfig(folder / "rows.json", folder / "run", model=str(model), report_to=tracker, **fixed)
    sft.run(config, progress=False)
    return config


@pytest.mark.filterwarnings("default")  # of the trackers' own making
def test_wandb_keeps_an_offline_run_in_the_training_folder(tiny_models, tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    config = train(tiny_models["gpt2"], tmp_path, "wandb")
    (path,) = config.out.glob("wandb/offline-run-*/run-*.wandb")
    kept = path.read_bytes()
    assert b"kbqa" in kept
    assert b"train/loss" in kept
    lines = [json.loads(line) for line in (config.out / "metrics.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if "loss" in line]
    assert len(losses) == 3
    assert all(str(loss).encode() in kept for loss in losses)


@pytest.mark.filterwarnings("default")
def test_tensorboard_files_lie_in_the_training_folder(tiny_models, tmp_path, monkeypatch):
    pytest.importorskip("tensorboard")
    monkeypatch.delenv("TENSORBOARD_LOGGING_DIR", raising=False)
    config = train(tiny_models["gpt2"], tmp_path, "tensorboard")
    assert list((config.out / "tensorboard").glob("events.out.tfevents.*"))


@pytest.mark.filterwarnings("default")
def test_a_reward_model_and_its_control_are_runs_of_their_own(tiny_models, tmp_path, monkeypatch):
    pytest.importorskip("tensorboard")
    monkeypatch.delenv("TENSORBOARD_LOGGING_DIR", raising=False)
    pairs = [Preference(f"问：{n}？\n答：", str(n), "零") for n in range(4)]
    config = RewardConfig(tmp_path / "judge", str(tiny_models["gpt2"]), max_steps=1, report_to="tensorboard")
    train_reward_model(config, pairs, progress=False)
    for out in (config.out, config.out / "control"):
        (events,) = (out / "tensorboard").glob("events.out.tfevents.*")
        assert f'"run_name": "{out.name}"'.encode() in events.read_bytes()


def test_trackio_runs_are_in_the_project_too(tmp_path, monkeypatch):
    config = SFTConfig(tmp_path / "rows.json", tmp_path / "run")
    assert training_arguments(config, 1, validates=False).project == "kbqa"
    monkeypatch.setenv("TRACKIO_PROJECT", "mine")
    assert training_arguments(config, 1, validates=False).project == "mine"


def test_a_tracker_that_is_not_installed_is_named_with_its_command(tiny_models, tmp_path, monkeypatch):
    monkeypatch.setattr(trackers, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="--report-to trackio: the package is not installed; run: pip install trackio"):
        train(tiny_models["gpt2"], tmp_path, "trackio")
    assert not (tmp_path / "run").exists()


def test_a_tracker_that_is_not_known_is_refused():
    with pytest.raises(InputError, match="report_to=excel: expected one of none, wandb, tensorboard, trackio"):
        SFTConfig(Path("rows.json"), Path("out"), report_to="excel")
