"""The commands of `kbqa`, but for `finetune`: each parses, calls the library once and prints.

Results go to standard output; progress and logs to standard error. Exit status 0 is done, 1 an error of the kind a user
can mend (one line that says how), 2 wrong usage. Heavy packages load inside the commands, so that `--help` is quick.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.agents import open_agent, settled
from cli.feedback import feedback
from cli.groups import Commands
from cli.indexing import index
from cli.options import (
    FILE,
    QUESTION_FORMATS,
    engine_options,
    feedback_option,
    generator_options,
    index_option,
    questions_option,
    worker_options,
)
from cli.serving import mcp, serve
from cli.training import finetune
from finetune.processes import is_main

if TYPE_CHECKING:
    from kbqa_agent.explaining import Explanation
    from kbqa_agent.types import Answer

__all__ = ["main"]

DEMO_QUESTIONS = ("法国的首都是哪里？", "那人口呢？", "那日本呢？", "格鲁吉亚用什么货币？", "法国的总统是谁？")


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="kbqa", prog_name="kbqa")
@click.option("-v", "--verbose", is_flag=True, help="Log what happens to standard error.")
def main(verbose: bool) -> None:
    """Answer questions from a knowledge base of triples, with evidence and calibrated confidence."""
    level = logging.INFO if verbose else logging.WARNING
    if not is_main():  # of processes that train together, one is enough to say it
        level = logging.ERROR
    # Ray prints what goes wrong on a cluster, such as a lost machine's log, among the results otherwise.
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)


@main.command()
@click.argument("question", nargs=-1, required=True)
@index_option
@feedback_option
@engine_options
@generator_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--why", is_flag=True, help="Explain it, and what put the first candidate before the next.")
def ask(question: tuple[str, ...], index: Path, feedback: str | None, as_json: bool, why: bool, **options: Any) -> None:
    """Answer one question, of one word or more, with the triples that the answer rests on.

    Example: kbqa ask 法国的首都是哪里？ --index my-index
    """
    from kbqa_agent.feedback import feedback_for

    with open_agent(index, feedback=feedback_for(index, feedback), **options) as agent:
        answer = agent.ask(" ".join(question))
        _print_answer(answer, as_json, agent.explain(answer) if why else None)


@main.command()
@index_option
@feedback_option
@click.option("--history", metavar="FILE", envvar="KBQA_HISTORY", help="Lines typed before; 'none': keep none.")
@click.option("--user", default="local", show_default=True, help="Who gives feedback.")
@engine_options
@generator_options
def chat(index: Path, feedback: str | None, history: str | None, user: str, **options: Any) -> None:
    """Talk with the knowledge base: follow-ups such as 那人口呢？ are understood, and /help lists commands.

    The first rating of an answer makes a file beside the index; --feedback names another one, or 'none'.

    \b
    Example: kbqa chat --index my-index
             kbqa chat --index my-index < questions.txt
    """  # noqa: D301 - click's mark
    from cli.chat import converse, history_file
    from kbqa_agent.chatting import Chat
    from kbqa_agent.feedback import feedback_beside

    kept = None if feedback == "none" else Path(feedback or feedback_beside(index))
    counts = kept if kept is not None and kept.exists() else None
    with open_agent(index, feedback=counts, **options) as agent, settled(agent):
        converse(Chat(agent, kept, user), history_file(history))


@main.command(name="eval")
@click.option("--index", type=FILE, envvar="KBQA_INDEX", help="Index folder; not needed with --predictions.")
@questions_option
@click.option("--predictions", type=FILE, help="Score this file of predictions, and ask nothing.")
@click.option("--format", "format_", type=QUESTION_FORMATS, default="auto", show_default=True, help="Of the questions.")
@click.option("--out", required=True, type=FILE, help="Folder for the report, the predictions and the plots.")
@click.option("--limit", type=click.IntRange(1), help="Draw so many questions at random.")
@click.option("--seed", default=0, show_default=True)
@click.option(
    "--unanswerable",
    is_flag=True,
    help="Hide from half of the questions what they ask for: test silence. --answerable is 0.5 then by default.",
)
@click.option("--feedback", metavar="FILE", help="Let people's feedback count; default: none, so reports compare.")
@click.option(
    "--systems", type=FILE, help="TOML file of systems: evaluate each, and compare them (docs/evaluation.md)."
)
@click.option(
    "--errors",
    type=click.IntRange(1),
    is_flag=False,
    flag_value=5,
    metavar="[N]",
    help="Group what was not answered right by where it went wrong, with N (5) examples of each group.",
)
@click.option("--fresh", is_flag=True, help="With --systems: ask again what an earlier evaluation has answers to.")
@engine_options
@worker_options
@generator_options
def evaluate(
    index: Path | None,
    questions: Path,
    format_: str,
    out: Path,
    systems: Path | None,
    fresh: bool,
    **options: Any,
) -> None:
    """Ask every question of a file and report MRR, MAP, averaged F1, BLEU, ROUGE and their intervals.

    An evaluation that was ended early goes on where it was.

    \b
    Example: kbqa eval --index my-index --questions test.nlpcc --out report --model none
             kbqa eval --index my-index --questions test.nlpcc --out table --systems systems.toml
             kbqa eval --index my-index --questions test.nlpcc --out report --engine ray --workers 8
             kbqa eval --questions test.nlpcc --predictions theirs.nlpcc --out score
    """  # noqa: D301 - click's mark
    from cli.evaluation import evaluate_one, evaluate_predictions, evaluate_several

    predictions = options.pop("predictions")
    _check_evaluation(systems, fresh, predictions, **options)
    if predictions:
        click.echo(evaluate_predictions(questions, predictions, out, format_, options["seed"]))
        return
    if index is None:
        raise click.UsageError("Missing option '--index', or '--predictions' to score a file of them.")
    if systems:
        evaluate_several(systems, index, (questions, format_), out, fresh, options)
    else:
        evaluate_one(index, questions, format_, out, options)


def _check_evaluation(
    systems: Path | None,
    fresh: bool,
    predictions: Path | None,
    feedback: str | None,
    unanswerable: bool,
    **options: Any,
) -> None:
    counts = feedback is not None and feedback != "none"
    problems = (
        (counts and unanswerable, "--feedback knows what --unanswerable hides; leave one of them out."),
        (counts and systems, "--feedback is for one system; leave out --systems"),
        (fresh and not systems, "--fresh needs --systems"),
        (
            predictions and (counts or systems or unanswerable or options["limit"] or options["errors"]),
            "--predictions asks nothing; leave out --systems, --limit, --unanswerable, --errors and --feedback",
        ),
        (
            options["engine"] == "ray" and unanswerable and options["model"] != "none",
            "--unanswerable asks a model in this process; with --engine ray add --model none",
        ),
    )
    for is_wrong, text in problems:
        if is_wrong:
            raise click.UsageError(text)


main.add_command(index)
main.add_command(finetune)
main.add_command(feedback)
main.add_command(serve)
main.add_command(mcp)


@main.command()
@click.option("--out", default="kbqa-demo", show_default=True, type=FILE, help="Folder for index, adapter and report.")
@click.option("--steps", default=10, show_default=True, help="Steps of the short fine-tuning.")
def demo(out: Path, steps: int) -> None:
    """Build the embedded sample, ask it, fine-tune a generator briefly, and evaluate.

    Example: kbqa demo --out kbqa-demo
    """
    from kbqa_agent.sample import sample_test, sample_train, sample_triples

    index, adapter, tuned, report = (str(out / name) for name in ("index", "adapter", "ranker", "report"))
    train, test = str(sample_train()), str(sample_test())
    click.echo("1. Build an index of the embedded sample.")
    _run("index", str(sample_triples()), "--out", index)
    click.echo("\n2. Ask, with a follow-up question.")
    _conversation(index, DEMO_QUESTIONS)
    click.echo("\n3. Tune a ranker and, briefly, a new LoRA adapter. Both are only shown: what is shipped saw more.")
    _run("finetune", "ranker", "--questions", train, "--index", index, "--out", tuned)
    if _embedded_is_installed():
        _run("finetune", "sft", "--questions", train, "--index", index, "--out", adapter, "--steps", str(steps))
    click.echo("\n4. Evaluate on the sample's test questions.")
    _run("eval", "--questions", test, "--index", index, "--out", report)
    click.echo(f"Everything is in {out}/. Ask on: {sys.argv[0]} chat --index {index}")


def _run(*arguments: str) -> None:
    click.echo("$ kbqa " + " ".join(arguments))
    if status := main.main(arguments, standalone_mode=False):
        click.get_current_context().exit(status)


def _conversation(index: str, questions: Sequence[str]) -> None:
    from kbqa_agent.agent import KBQAgent
    from kbqa_agent.dialogue import Dialogue

    dialogue = Dialogue()
    with KBQAgent.open(index) as agent:
        for question in questions:
            click.echo(f"> {question}")
            _print_answer(agent.ask(question, dialogue), as_json=False)


@main.command()
@click.option("--index", type=FILE, help="Read every byte of this index and tell what is damaged.")
@click.option("--adapter", type=FILE, help="Tell which model this adapter needs.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def doctor(context: click.Context, index: Path | None, adapter: Path | None, as_json: bool) -> None:
    """Tell what is installed and what is missing, or whether an index is whole. Status 1 where something is wrong.

    Example: kbqa doctor --index my-index
    """
    from kbqa_agent.doctor import examine

    report = examine(index, adapter)
    click.echo(json.dumps(report.as_json(), ensure_ascii=False) if as_json else "\n".join(report.lines()))
    context.exit(0 if report.is_sound else 1)


def _embedded_is_installed() -> bool:
    from kbqa_agent.gguf_cache import embedded_is_installed

    return embedded_is_installed()


def _print_answer(answer: Answer, as_json: bool, explanation: Explanation | None = None) -> None:
    from kbqa_agent.answer_forms import answer_to_json, answer_to_text, explanation_to_json
    from kbqa_agent.legible import legible

    if as_json:
        explained = {"explanation": explanation_to_json(explanation)} if explanation else {}
        click.echo(json.dumps(answer_to_json(answer) | explained, ensure_ascii=False))
    else:
        click.echo(answer_to_text(answer) + (legible(f"\n{explanation}") if explanation else ""))
