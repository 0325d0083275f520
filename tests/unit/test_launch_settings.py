"""The settings for several GPUs are such as accelerate's launcher reads, and mean what the program expects."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("accelerate", reason="needs the extra [models]")

SETTINGS = Path(__file__).parents[2] / "deploy" / "accelerate"
NAMES = ("ddp", "fsdp", "one-gpu", "one-gpu-offload", "zero2", "zero3")


def launched(name: str):
    """What `accelerate launch --config_file` makes of a file."""
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser

    settings = ("--config_file", str(SETTINGS / f"{name}.yaml"), "--main_process_port", "0")
    given = [*settings, "-m", "cli", "finetune", "sft"]
    return _validate_launch_command(launch_command_parser().parse_args(given))[0]


def test_each_file_is_tested_here():
    assert sorted(path.stem for path in SETTINGS.glob("*.yaml")) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_accelerate_reads_it(name):
    from accelerate.commands.config.config_args import load_config_from_file

    config = load_config_from_file(str(SETTINGS / f"{name}.yaml"))
    kind, processes = {
        "ddp": ("MULTI_GPU", 4),
        "fsdp": ("FSDP", 4),
        "one-gpu": ("NO", 1),
        "one-gpu-offload": ("DEEPSPEED", 1),
        "zero2": ("DEEPSPEED", 4),
        "zero3": ("DEEPSPEED", 4),
    }[name]
    assert (config.distributed_type.value, config.num_processes) == (kind, processes)
    assert config.mixed_precision == ("bf16" if kind == "DEEPSPEED" else "no")


def test_fsdp_is_the_second_version_and_shards_what_it_saves():
    from accelerate.utils.launch import prepare_multi_gpu_env

    environment = prepare_multi_gpu_env(launched("fsdp"))
    assert (environment["ACCELERATE_USE_FSDP"], environment["FSDP_VERSION"]) == ("true", "2")
    assert environment["FSDP_AUTO_WRAP_POLICY"] == "TRANSFORMER_BASED_WRAP"
    assert environment["FSDP_RESHARD_AFTER_FORWARD"] == "true"
    assert environment["FSDP_CPU_RAM_EFFICIENT_LOADING"] == "false"
    assert environment["FSDP_STATE_DICT_TYPE"] == "SHARDED_STATE_DICT"
    assert environment["ACCELERATE_MIXED_PRECISION"] == "no"


@pytest.mark.parametrize(
    ("name", "stage", "offload"), [("zero2", "2", "none"), ("zero3", "3", "none"), ("one-gpu-offload", "2", "cpu")]
)
def test_deepspeed_takes_the_trainings_own_steps_and_clipping(name, stage, offload):
    from accelerate.utils.launch import prepare_deepspeed_cmd_env

    arguments = launched(name)
    arguments.deepspeed_fields_from_accelerate_config = ""  # the launcher puts it there
    _, environment = prepare_deepspeed_cmd_env(arguments)
    assert environment["ACCELERATE_USE_DEEPSPEED"] == "true"
    assert environment["ACCELERATE_DEEPSPEED_ZERO_STAGE"] == stage
    assert environment["ACCELERATE_DEEPSPEED_OFFLOAD_OPTIMIZER_DEVICE"] == offload
    assert environment["ACCELERATE_GRADIENT_ACCUMULATION_STEPS"] == "auto"
    assert environment["ACCELERATE_GRADIENT_CLIPPING"] == "auto"
    assert environment["ACCELERATE_MIXED_PRECISION"] == "bf16"
    assert environment.get("ACCELERATE_DEEPSPEED_ZERO3_SAVE_16BIT_MODEL") == ("true" if stage == "3" else None)
