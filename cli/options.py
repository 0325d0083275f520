"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

__all__ = [
    "FILE",
    "MAY_BE_PARTIAL",
    "QUESTION_FORMATS",
    "TRIPLE_FORMATS",
    "engine_options",
    "feedback_option",
    "generator_options",
    "index_option",
    "questions_option",
    "ray_option",
    "training_options",
    "worker_options",
]

F = TypeVar("F", bound=Callable[..., Any])

FILE = click.Path(path_type=Path)
TRIPLE_FORMATS = ["auto", "nlpcc", "tsv", "csv", "jsonl", "parquet", "ntriples", "turtle"]
QUESTION_FORMATS = click.Choice(["auto", "nlpcc", "kgclue", "metaqa", "text2text"])
DECODINGS = click.Choice(["free", "constrained"])
RISK = click.FloatRange(0, 1, min_open=True)
MAY_BE_PARTIAL = "cli.may_be_partial"
"""Is in the `meta` of the context of a command that can do without shards."""
index_option = click.option("--index", required=True, type=FILE, envvar="KBQA_INDEX", help="Index folder.")
questions_option = click.option(
    "--questions", required=True, type=FILE, help="Question file: NLPCC, KgCLUE, MetaQA or text2text."
)
feedback_option = click.option(
    "--feedback",
    metavar="FILE",
    envvar="KBQA_FEEDBACK",
    help="People's feedback; default: the file beside the index, if there; 'none': without.",
)


def ray_option(name: str, **attributes: Any) -> Callable[[F], F]:
    """Add an option that is a wrong usage without `--engine ray`; from the environment it may be there for others."""

    def checked(context: click.Context, option: click.Parameter, value: Any) -> Any:
        is_given = context.get_parameter_source(str(option.name)) is ParameterSource.COMMANDLINE
        if is_given and context.params["engine"] != "ray":
            raise click.UsageError(f"{name} is for --engine ray; add that, or leave {name} out")
        return value

    return click.option(name, callback=checked, **attributes)


def engine_options(command: Any) -> Any:
    """Add the options that say where the work is done."""
    options = (
        click.option(
            "--engine",
            type=click.Choice(["local", "ray"]),
            default="local",
            show_default=True,
            is_eager=True,  # those of `ray_option` look at it
            help="Where the work is done.",
        ),
        ray_option(
            "--ray-address",
            metavar="HOST:PORT",
            envvar="RAY_ADDRESS",
            help="With --engine ray: the cluster. Default: $RAY_ADDRESS, else the one that `ray start` left running on "
            "this machine, else a new one for this command alone.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def worker_options(command: Any) -> Any:
    """Add the options that say how many agents Ray is to run, and on what."""
    options = (
        ray_option("--workers", type=click.IntRange(1), help="With --engine ray: agents. Default: as many as fit."),
        ray_option(
            "--gpus-per-worker",
            type=click.FloatRange(0),
            default=0.0,
            show_default=True,
            help="With --engine ray: what each agent reserves; 0.25: four share a GPU.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def _noted(context: click.Context, _: click.Parameter, value: Any) -> Any:
    context.meta[MAY_BE_PARTIAL] = True
    return value


def generator_options(command: Any) -> Any:
    """Add the options that say which generator answers, and when."""
    uses = click.Choice(["always", "unsure", "never"])
    options = (
        click.option(
            "--model",
            envvar="KBQA_MODEL",
            help="Hugging Face name, folder, .gguf file; a server's model as openai:URL#NAME; 'none': no model.",
        ),
        click.option("--adapter", help="LoRA adapter folder; 'none' for the bare model."),
        click.option("--generator", type=uses, default="unsure", show_default=True, help="When to ask the model."),
        click.option("--ranker", help="Ranker folder; 'lexical': by shared characters; default: the index's."),
        click.option("--closed-book", is_flag=True, help="Let the generator answer from memory, without triples."),
        click.option("--free-text", is_flag=True, help="Let the generator write; what no triple backs is marked."),
        click.option(
            "--decoding",
            type=DECODINGS,
            default="free",
            show_default=True,
            help="What --free-text writes: anything, or a candidate.",
        ),
        click.option(
            "--partial",
            is_flag=True,
            callback=_noted,
            help="Do without shards that are missing, and mark the answers.",
        ),
        click.option("--answerable", type=RISK, help="Share of the questions thought to have an answer; default: 0.9."),
        click.option("--max-risk", type=RISK, help="Tolerated share of wrong answers, such as 0.05: else be silent."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def training_options(command: Any) -> Any:
    """Add the options of a supervised training; those that the user leaves open are the preset's or the default's."""
    count, share, rate = click.IntRange(1), click.FloatRange(0, 1), click.FloatRange(0, min_open=True)
    trackers = click.Choice(["none", "wandb", "tensorboard", "trackio"])
    options = (
        click.option("--full", is_flag=True, help="Train all weights; default: a LoRA adapter."),
        click.option("--lora-on", type=click.Choice(["all", "attention"]), help="Linear layers that get LoRA."),
        click.option("--rank", type=count, help="Rank of LoRA; default: 16."),
        click.option("--four-bit", is_flag=True, help="Pack frozen weights to 4 bits (QLoRA); needs a GPU."),
        click.option("--gradient-checkpointing", is_flag=True, help="Less memory, about a third slower."),
        click.option("--learning-rate", type=rate, help="Highest rate; default: 0.001."),
        click.option("--rows-per-step", type=count, help="Rows of a step, of all processes together; default: 8."),
        click.option("--rows-at-once", type=count, help="Rows in the memory of a process together; default: 8."),
        click.option("--max-tokens", type=count, help="Longest row; longer ones lose triples; default: 512."),
        click.option("--epochs", type=rate, help="Default: 1."),
        click.option("--steps", "max_steps", type=count, help="Optimizer steps, however many epochs that is."),
        click.option("--warmup-share", type=share, help="Share of the steps in which the rate rises; default: 0.05."),
        click.option("--weight-decay", type=click.FloatRange(0), help="Default: 0.1."),
        click.option("--patience", type=count, help="Stop after so many validations without a better one."),
        click.option("--validate-every", type=count, help="Steps from validation to validation; default: 100."),
        click.option("--save-every", type=count, help="Steps from checkpoint to checkpoint; default: 50."),
        click.option("--seed", type=int, default=0, show_default=True),
        click.option("--resume", is_flag=True, help="Go on from the last whole checkpoint in --out."),
        click.option("--report-to", type=trackers, help="Where else metrics go."),
    )
    for option in reversed(options):
        command = option(command)
    return command
