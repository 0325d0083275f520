"""Trainings that two processes share (gloo): the curves of one process, and one of the two killed in the middle."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs the extra [models]")

from finetune import sft  # noqa: E402 - after the check for torch
from finetune.config import SFTConfig  # noqa: E402
from finetune.preferences import Preference, write_preferences  # noqa: E402
from kbqa_agent.text2text import write_text2text  # noqa: E402

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
NAMES = ("坛经", "高等数学", "武汉", "面积", "国家", "人口", "出版社", "数学")
AUTHORS = ("惠能", "同济大学", "唐", "中国", "人口")
ROWS = [(f"【{name}】\n作者：{author}\n问：《{name}》是谁写的？\n答：", author) for name in NAMES for author in AUTHORS]
PROGRAM = """
import json, os, signal, sys
from pathlib import Path

import torch
from kbqa_agent import causal_models

# In float32: the first steps of Adam are signs of gradients, and rounding may change those of the smallest.
causal_models.fast_dtype = lambda: torch.float32
torch.set_num_threads(1)

if "FSDP_VERSION" in os.environ:
    # accelerate shards on GPUs only, so these processors are said to be some: gloo does what NCCL does there.
    from accelerate.state import DistributedType, PartialState

    connect = PartialState.__init__

    def connect_as_gpus(self, *args, **kwargs):
        connect(self, *args, **kwargs)
        if self.distributed_type is DistributedType.MULTI_CPU:
            self._shared_state["distributed_type"] = DistributedType.MULTI_GPU

    PartialState.__init__ = connect_as_gpus

from finetune import raft, reward, sft, trainer
from finetune.config import SFTConfig
from finetune.preferences import read_preferences
from finetune.raft_config import RaftConfig
from finetune.reward_config import RewardConfig

kind, settings, kill = json.loads(sys.argv[1])
step_of_training = trainer.CheckedTrainer.training_step

def die(self, *args, **kwargs):
    here = [int(os.environ[name]) for name in ("RANK", "TORCHELASTIC_RESTART_COUNT")]
    if here == [kill["rank"], 0] and self.state.global_step == kill["step"]:
        os.kill(os.getpid(), signal.SIGKILL)
    return step_of_training(self, *args, **kwargs)

if kill:
    trainer.CheckedTrainer.training_step = die
settings = {n: Path(v) if n in ("data", "out", "questions", "adapter") else v for n, v in settings.items()}
if kind == "sft":
    sft.run(SFTConfig(**settings), progress=False)
elif kind == "raft":
    raft.run(RaftConfig(**settings), progress=False)
else:
    pairs = read_preferences(settings.pop("data")).pairs
    reward.train_reward_model(RewardConfig(**settings), pairs, progress=False)
"""
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
ACCELERATE = ("-m", "accelerate.commands.launch", "--num_processes", "2", "--num_machines", "1", "--cpu")
ELASTIC = (*TORCHRUN, "--max-restarts", "1")
NEW_STORE = {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
"""Else processes that are started again may read where the dead ones were: github.com/pytorch/pytorch/issues/135712."""
SECONDS = 600


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with rows for sft and pairs for a reward model."""
    folder = tmp_path_factory.mktemp("data")
    write_text2text(ROWS, folder / "rows.json")
    pairs = [Preference(prompt, answer, "李白" if i % 2 else "答案") for i, (prompt, answer) in enumerate(ROWS)]
    write_preferences(pairs, folder / "pairs.jsonl")
    return folder


def train(kind: str, launcher: tuple[str, ...], kill: dict[str, int] | None = None, **settings: object) -> int:
    """Train in processes that `launcher` starts, in one without; gives the exit status.

    `kill` says which process dies (once, however often it is started), before which step.
    """
    out = Path(str(settings["out"]))
    program = out.with_suffix(".py")
    program.write_text(PROGRAM, encoding="utf-8")
    given = {name: str(value) if isinstance(value, Path) else value for name, value in settings.items()}
    done = subprocess.run(
        [sys.executable, *launcher, str(program), json.dumps([kind, given, kill])],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **NEW_STORE},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    out.with_suffix(".log").write_text(done.stdout + done.stderr, encoding="utf-8")
    return done.returncode


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def curve(out: Path, key: str) -> list[tuple[int, float]]:
    return [(line["step"], line[key]) for line in lines(out / "metrics.jsonl") if key in line]


def result(out: Path) -> dict:
    return json.loads((out / "record.json").read_text(encoding="utf-8"))["result"]


def weights(out: Path, step: int) -> dict[str, torch.Tensor]:
    """The float32 weights of a checkpoint."""
    from safetensors.torch import load_file

    (path,) = (out / "checkpoints" / f"checkpoint-{step}").glob("*model.safetensors")
    return load_file(path)


def assert_same_curves(alone: Path, shared: Path, *keys: str) -> None:
    for key in keys:
        steps, values = zip(*curve(alone, key), strict=True)
        steps_shared, values_shared = zip(*curve(shared, key), strict=True)
        assert steps_shared == steps
        assert values_shared == pytest.approx(values, rel=1e-5), key
    assert {path.name for path in shared.iterdir()} == {path.name for path in alone.iterdir()}


@pytest.mark.parametrize(("launcher", "trained"), [(TORCHRUN, {"full": True}), (ACCELERATE, {"rank": 4})])
def test_two_processes_tune_as_one_with_twice_the_accumulation(tiny_models, data, tmp_path, launcher, trained):
    fixed = {"data": data / "rows.json", "model": str(tiny_models["llama"]), "max_steps": 12, "max_tokens": 128}
    often = {"log_every": 1, "validate_every": 2, "validation_share": 0.25, "rows_at_once": 2, "learning_rate": 1e-3}
    for name, how in (("one", ()), ("two", launcher)):
        assert train("sft", how, out=tmp_path / name, **fixed, **often, **trained) == 0
    assert_same_curves(tmp_path / "one", tmp_path / "two", "loss", "validation_loss")
    assert result(tmp_path / "two")["loss_after"] == pytest.approx(result(tmp_path / "one")["loss_after"], rel=1e-5)


def test_two_processes_train_a_reward_model_as_one_with_twice_the_accumulation(tiny_models, data, tmp_path):
    fixed = {"data": data / "pairs.jsonl", "model": str(tiny_models["llama"]), "max_steps": 8, "max_tokens": 128}
    often = {"log_every": 1, "validate_every": 2, "rows_at_once": 2, "rank": 4, "learning_rate": 1e-3, "control": True}
    for name, how in (("one", ()), ("two", TORCHRUN)):
        assert train("reward", how, out=tmp_path / name, **fixed, **often) == 0
    assert_same_curves(tmp_path / "one", tmp_path / "two", "loss", "held_out_accuracy")
    assert_same_curves(tmp_path / "one" / "control", tmp_path / "two" / "control", "loss", "held_out_accuracy")
    alone, shared = (weights(tmp_path / name, 8) for name in ("one", "two"))
    for name, tensor in shared.items():
        torch.testing.assert_close(tensor, alone[name], atol=1e-5, rtol=1e-4)
    for figure in ("accuracy", "control", "longer", "n_pairs", "n_held_out"):
        assert result(tmp_path / "two")[figure] == result(tmp_path / "one")[figure]


def test_a_worker_that_is_killed_costs_no_more_than_the_steps_since_the_last_checkpoint(tiny_models, data, tmp_path):
    fixed = {"data": data / "rows.json", "model": str(tiny_models["llama"]), "max_steps": 8, "max_tokens": 128}
    often = {"log_every": 1, "save_every": 2, "validate_every": 4, "validation_share": 0.1, "rows_at_once": 4}
    settings = {**fixed, **often, "rank": 4, "dropout": 0.1, "learning_rate": 1e-2}
    assert train("sft", TORCHRUN, out=tmp_path / "whole", **settings) == 0
    expected = weights(tmp_path / "whole", 8)

    def assert_same(out: Path) -> None:
        found = weights(out, 8)
        assert found.keys() == expected.keys()
        assert [name for name, tensor in found.items() if not torch.equal(tensor, expected[name])] == []
        assert curve(out, "loss") == curve(tmp_path / "whole", "loss")
        assert [line.get("part", 0) for line in lines(out / "metrics.jsonl") if "loss" in line] == [0] * 4 + [1] * 4

    for rank in (0, 1):
        out = tmp_path / f"killed-{rank}"
        assert train("sft", TORCHRUN, {"rank": rank, "step": 5}, out=out, **settings) != 0
        assert not list(out.glob("*.safetensors"))
        assert train("sft", TORCHRUN, out=out, resume=True, **settings) == 0
        assert_same(out)

    assert train("sft", ELASTIC, {"rank": 1, "step": 5}, out=tmp_path / "elastic", **settings) == 0
    assert_same(tmp_path / "elastic")


@pytest.mark.parametrize("trained", [{"full": True}, {"rank": 4}])
def test_sharded_weights_are_trained_as_whole_ones_and_go_on_from_a_checkpoint(
    tiny_models, data, tmp_path, monkeypatch, trained
):
    from safetensors.torch import load_file

    fixed = {"data": data / "rows.json", "model": str(tiny_models["llama"]), "max_steps": 8, "max_tokens": 128}
    often = {"log_every": 1, "save_every": 2, "validate_every": 3, "validation_share": 0.25, "rows_at_once": 2}
    settings = {**fixed, **often, **trained, "learning_rate": 1e-3}
    assert train("sft", (), out=tmp_path / "one", **settings) == 0
    for name, value in launch_environment("fsdp").items():
        monkeypatch.setenv(name, value)
    assert train("sft", TORCHRUN, {"rank": 1, "step": 5}, out=tmp_path / "shards", **settings) != 0
    assert train("sft", TORCHRUN, out=tmp_path / "shards", resume=True, **settings) == 0
    assert_same_curves(tmp_path / "one", tmp_path / "shards", "loss", "validation_loss")
    checkpoint = tmp_path / "shards" / "checkpoints" / "checkpoint-8" / "pytorch_model_fsdp_0"
    assert len(list(checkpoint.glob("*.distcp"))) == 2
    (path,) = (tmp_path / "one").glob("*model.safetensors")
    whole, together = load_file(path), load_file(tmp_path / "shards" / path.name)
    assert together.keys() == whole.keys()
    for name, tensor in together.items():
        torch.testing.assert_close(tensor, whole[name], atol=1e-4, rtol=1e-3)


def launch_environment(name: str) -> dict[str, str]:
    """What `accelerate launch --config_file` tells the processes."""
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser
    from accelerate.utils.launch import prepare_multi_gpu_env

    file = ROOT / "deploy" / "accelerate" / f"{name}.yaml"
    given = ["--config_file", str(file), "--main_process_port", "0", "program.py"]
    arguments, *_ = _validate_launch_command(launch_command_parser().parse_args(given))
    told = prepare_multi_gpu_env(arguments)
    return {key: value for key, value in told.items() if key.startswith(("ACCELERATE_", "FSDP_"))}


def test_two_processes_align_as_one_and_go_on_when_one_is_killed(tiny_models, data, tmp_path):
    write_text2text(ROWS[:30], tmp_path / "taught.json")
    learns = {"rank": 4, "alpha": 8, "max_steps": 40, "learning_rate": 1e-2}
    start = SFTConfig(tmp_path / "taught.json", tmp_path / "start", str(tiny_models["llama"]), **learns)
    sft.run(start, progress=False)
    fixed = {"questions": data / "rows.json", "model": start.model, "adapter": start.out, "learning_rate": 1e-3}
    sizes = {"stages": 2, "batch": 32, "samples": 4, "held_out_questions": 8, "max_new_tokens": 8, "rows_at_once": 2}
    settings = {**fixed, **sizes, "skip_decided": False, "kl_weight": 0.1}
    assert train("raft", (), out=tmp_path / "one", **settings) == 0
    assert train("raft", TORCHRUN, out=tmp_path / "two", **settings) == 0
    assert train("raft", ELASTIC, {"rank": 1, "step": 1}, out=tmp_path / "killed", **settings) == 0
    for name in ("two", "killed"):
        for stage in ("1", "2"):
            alone, shared = (tmp_path / run / "stages" / stage for run in ("one", name))
            drawn = [
                [[s["text"] for s in row["samples"]] for row in lines(at / "samples.jsonl")] for at in (alone, shared)
            ]
            assert drawn[0] == drawn[1]
            kept = [[(row["id"], row["answer"]) for row in lines(at / "kept.jsonl")] for at in (alone, shared)]
            assert kept[0] == kept[1]
            assert len(kept[0]) > 30
        for alone, shared in zip(*(lines(tmp_path / run / "metrics.jsonl") for run in ("one", name)), strict=True):
            del alone["seconds"], shared["seconds"]
            assert shared == pytest.approx(alone, rel=1e-4, abs=1e-5)
        assert result(tmp_path / name)["best"] == result(tmp_path / "one")["best"]
        assert {path.name for path in (tmp_path / name).iterdir()} == {
            path.name for path in (tmp_path / "one").iterdir()
        }
    assert len(lines(tmp_path / "one" / "stages" / "1" / "samples.jsonl")) == 32  # two batches, one for each process
