"""`kbqa finetune`: each command parses, calls a training and prints what it did."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cli.options import FILE, index_option, questions_option, training_options

__all__ = ["finetune"]


@click.group()
def finetune() -> None:
    """Train the ranker or a generator on question-answer pairs."""


@finetune.command()
@index_option
@questions_option
@click.option("--out", type=FILE, help="Folder for the ranker; default: the index's own, where ask and eval find it.")
@click.option("--seed", default=0, show_default=True)
@click.option("--model", envvar="KBQA_MODEL", help="Also fit how much this generator counts; 'embedded' for ours.")
@click.option("--adapter", help="LoRA adapter folder of that generator.")
@click.option(
    "--encoder", help="Transformer encoder, folder or hub name, that compares questions with attributes; default: none."
)
@click.option(
    "--new-attributes",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="Which share of the attributes that will be asked for does no question of the file ask for.",
)
@click.option("--processes", type=click.IntRange(1), help="Look at questions in so many processes; default: all cores.")
def ranker(
    index: Path, questions: Path, out: Path | None, model: str | None, adapter: str | None, **options: Any
) -> None:
    """Train the ranker that orders triples, and calibrate its probabilities.

    With --encoder, such as a small Chinese sentence encoder, the ranker also compares the question with each attribute
    in meaning. It then needs that encoder, unchanged and in its place, for every question.

    A ranker learns how people ask for each attribute. With --new-attributes it is also trained for attributes of
    which it learns nothing: 0.3 if your file covers some of the attributes only, 1 if none of those to come is in it.
    Attributes that the file knows are answered a little worse then, and with 1 much worse.

    Without --out the index uses the new ranker from now on; remove its folder `ranker` to go back to the shipped one.

    \b
    Example: kbqa finetune ranker --questions train.nlpcc --index my-index
             kbqa finetune ranker --questions train.nlpcc --index my-index --encoder ./my-encoder
    """  # noqa: D301 - click's mark
    from finetune.published_tests import refuse_test_questions
    from finetune.ranker import RankerConfig, train_ranker
    from kb_index import KnowledgeBase
    from kb_index.manifest import RANKER_FOLDER
    from kbqa_agent.generation import open_generator
    from kbqa_agent.qa_data import read_questions

    refuse_test_questions(questions, out or index)
    generator = open_generator(model, adapter) if model not in (None, "none") else None
    config = RankerConfig(**options)
    with KnowledgeBase.open(index) as kb:
        folder = out or index / RANKER_FOLDER
        result = train_ranker(kb, read_questions(questions), folder, config, generator)
    silence = (
        "" if result.knows_silence else "; too few questions to learn when to be silent: compare with the shipped one"
    )
    click.echo(
        f"{folder}: {result.n_questions:,} questions in {result.seconds:.0f} s; the answer was among the candidates of "
        f"{result.recall:.1%}; held-out MRR {result.validation_mrr:.3f}{silence}"
    )


@finetune.command()
@index_option
@questions_option
@click.option("--model", required=True, help="Encoder such as BERT, hub name or folder; 'scratch': a small new one.")
@click.option("--out", required=True, type=FILE, help="Folder for the ranker, which --ranker opens.")
@click.option("--held-out", type=FILE, help="Questions kept for evaluation: refuse to train on one of them.")
@click.option("--epochs", type=click.IntRange(1), default=3, show_default=True)
@click.option("--learning-rate", type=click.FloatRange(0, min_open=True), help="Default: 5e-5; from scratch 5e-4.")
@click.option("--rows-per-step", type=click.IntRange(1), default=32, show_default=True, help="Questions of a step.")
@click.option("--layers", type=click.IntRange(1), default=2, show_default=True, help="Of an encoder from scratch.")
@click.option("--width", type=click.IntRange(1), default=192, show_default=True, help="Of an encoder from scratch.")
@click.option("--seed", default=0, show_default=True)
def bert(index: Path, questions: Path, out: Path, held_out: Path | None, **options: Any) -> None:
    """Train BERT, the system to compare with: mention recognition, and matching of question and attribute.

    \b
    Example: kbqa finetune bert --questions train.nlpcc --index my-index --model scratch --out my-bert
             kbqa eval --questions test.nlpcc --index my-index --ranker my-bert --model none --out report
    """  # noqa: D301 - click's mark
    from finetune.bert import train_bert
    from finetune.bert_config import BertTraining
    from finetune.overlap import refuse_overlap
    from finetune.published_tests import refuse_test_questions
    from kb_index import KnowledgeBase
    from kbqa_agent.qa_data import read_questions

    refuse_test_questions(questions, out)
    if held_out is not None:
        refuse_overlap(questions, held_out, out.with_name(f"{out.name}.overlap.tsv"))
    with KnowledgeBase.open(index) as kb:
        result = train_bert(kb, read_questions(questions), out, BertTraining(**options))
    click.echo(
        f"{out}: {result.n_questions:,} questions in {result.seconds:.0f} s; the answer was among the candidates of "
        f"{result.recall:.1%}; held-out MRR {result.validation_mrr:.3f}"
    )


@finetune.command()
@questions_option
@click.option("--index", type=FILE, envvar="KBQA_INDEX", help="Index whose triples go into the prompts.")
@click.option("--closed-book", is_flag=True, help="Train on questions and answers without triples.")
@click.option("--preset", type=click.Choice(["gpt2", "gpt2-xl", "galactica-1.3b", "llama-7b"]), help="Model, settings.")
@click.option(
    "--model", envvar="KBQA_MODEL", help="Hugging Face name, folder or .gguf file; default: the embedded model."
)
@click.option("--adapter", type=FILE, help="Adapter to go on from, or 'shipped'; default: a new one.")
@click.option("--out", required=True, type=FILE, help="Folder for the adapter, metrics.jsonl, loss.png, record.json.")
@click.option("--limit", type=click.IntRange(2), help="Draw so many questions at random.")
@click.option("--held-out", type=FILE, help="Questions kept for evaluation: refuse to train on any of them.")
@click.option("--plan", "planned", is_flag=True, help="Tell parameters, memory and tokens, and do nothing else.")
@training_options
def sft(questions: Path, out: Path, held_out: Path | None, planned: bool, **options: Any) -> None:
    """Fine-tune a generator with LoRA on questions and their answers, with triples in the prompts.

    A text2text file is trained on as it stands, also with --index.

    \b
    Example: kbqa finetune sft --questions train.nlpcc --index my-index --out my-adapter --limit 1000
             kbqa finetune sft --questions train.nlpcc --closed-book --preset galactica-1.3b --out galactica --plan
    """  # noqa: D301 - click's mark
    from finetune.config import SFTConfig
    from finetune.data import RowOptions
    from finetune.overlap import refuse_overlap
    from finetune.plan import plan_lines, plan_training
    from finetune.processes import is_main
    from finetune.published_tests import refuse_test_questions
    from finetune.questions import sample_rows, training_rows
    from finetune.sft import run

    refuse_test_questions(questions, out)
    if held_out is not None:
        refuse_overlap(questions, held_out, out.with_name(f"{out.name}.overlap.tsv"))
    asked = questions, options.pop("index"), RowOptions(closed_book=options.pop("closed_book"), seed=options["seed"])
    limit, settings = options.pop("limit"), _training_settings(**options)
    if planned:
        rows, n_rows = sample_rows(*asked, limit)
        plan = plan_training(SFTConfig(data=questions, out=out, **settings), [(row,) for row in rows], n_rows)
        click.echo("\n".join(plan_lines(plan)))
        return
    config = SFTConfig(data=training_rows(questions, out / "rows.json", *asked[1:], limit), out=out, **settings)
    result = run(config)
    if is_main():
        click.echo(_losses(result))


def _training_settings(preset: str | None, **options: Any) -> dict[str, Any]:
    """Give what the user chose, and the preset's settings for the rest; a preset's model goes before KBQA_MODEL."""
    from finetune.families import PRESETS

    chosen = {name: value for name, value in options.items() if value is not None and value is not False}
    if preset is None:
        return chosen
    source = click.get_current_context().get_parameter_source("model")
    if source is not click.core.ParameterSource.COMMANDLINE:
        chosen["model"] = PRESETS[preset].model
    return {**PRESETS[preset].settings, **chosen}


@finetune.command()
@click.argument("runs", nargs=-1, required=True, type=FILE)
@click.option("--out", required=True, type=FILE, help="Picture to write: .png, .svg or .pdf.")
def plot(runs: tuple[Path, ...], out: Path) -> None:
    """Draw the curves of trainings into one picture; where a run was resumed, its line is marked.

    Example: kbqa finetune plot gpt2 galactica llama --out losses.png
    """
    from finetune.plots import write_run_plot

    write_run_plot(runs, out)
    click.echo(out)


@finetune.command()
@click.option("--model", envvar="KBQA_MODEL", help="The adapter's model; default: the embedded one.")
@click.option("--adapter", required=True, type=FILE)
@click.option("--out", required=True, type=FILE, help="Folder for the whole model.")
def merge(model: str | None, adapter: Path, out: Path) -> None:
    """Add an adapter to its model's weights and write the whole model, which other programs open without peft.

    Example: kbqa finetune merge --adapter my-adapter --out my-model
    """
    from finetune.models import merge_adapter

    merge_adapter(model, adapter, out)
    click.echo(out)


@finetune.command()
@click.option(
    "--preferences", multiple=True, type=FILE, help="File of preferences, of whichever form; may be repeated."
)
@click.option("--questions", type=FILE, help="Question file: the gold answer against the ranker's best wrong ones.")
@click.option("--index", type=FILE, envvar="KBQA_INDEX", help="Index with a trained ranker, for --questions.")
@click.option("--model", envvar="KBQA_MODEL", help="Hugging Face name, folder or .gguf file; default: the embedded.")
@click.option("--adapter", type=FILE, help="Tuned generator's adapter to begin from, or 'shipped'; default: none.")
@click.option("--out", required=True, type=FILE, help="Folder for the reward model, metrics.jsonl and reward.png.")
@click.option("--limit", type=click.IntRange(2), help="Draw so many prompts, or questions, at random.")
@click.option("--steps", "max_steps", type=click.IntRange(1), help="Optimizer steps; default: one epoch.")
@click.option("--learning-rate", default=5e-4, show_default=True)
@click.option("--rows-at-once", default=2, show_default=True, help="Prompts in memory together; of 8 a step.")
@click.option("--max-tokens", default=512, show_default=True, help="Longest prompt with one answer.")
@click.option("--held-out-share", default=0.2, show_default=True, help="Share of prompts to measure by.")
@click.option("--control/--no-control", default=None, help="Train on shuffled labels, too; default: to 1,000 pairs.")
@click.option("--seed", default=0, show_default=True)
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint in --out.")
@click.option("--report-to", default="none", show_default=True, help="Where else metrics go, such as wandb.")
@click.option("--plan", "planned", is_flag=True, help="Tell parameters, memory and tokens, and do nothing else.")
def reward(
    preferences: tuple[Path, ...],
    questions: Path | None,
    index: Path | None,
    limit: int | None,
    planned: bool,
    **options: Any,
) -> None:
    """Train a model that tells the better of two answers, and measure it on held-out prompts.

    \b
    Example: kbqa finetune reward --preferences feedback.jsonl --out my-reward
             kbqa finetune reward --questions train.nlpcc --index my-index --limit 500 --out my-reward
    """  # noqa: D301 - click's mark
    from finetune.pairs import gather_preferences
    from finetune.processes import from_main, is_main
    from finetune.published_tests import refuse_test_questions
    from finetune.reward import train_reward_model
    from finetune.reward_config import RewardConfig
    from finetune.reward_plan import reward_plan_lines

    if not preferences and questions is None:
        raise click.UsageError("Missing option '--preferences' or '--questions'.")
    config = RewardConfig(**options)
    if questions is not None:
        refuse_test_questions(questions, config.out)
    found = from_main(lambda: gather_preferences(preferences, questions, index, limit, config.seed))
    if planned:
        if is_main():
            click.echo("\n".join(reward_plan_lines(config, found)))
        return
    result = train_reward_model(config, found)
    if is_main():
        click.echo(result)


@finetune.command()
@questions_option
@click.option("--index", type=FILE, envvar="KBQA_INDEX", help="Index whose triples go into the prompts.")
@click.option("--closed-book", is_flag=True, help="Train on questions and answers without triples.")
@click.option("--model", envvar="KBQA_MODEL", help="Hugging Face name, folder or .gguf file; default: the embedded.")
@click.option("--adapter", type=FILE, help="Adapter to start from, or 'shipped'; 'none' begins a new one.")
@click.option("--reward-model", type=FILE, help="Folder from `kbqa finetune reward`.")
@click.option(
    "--rule-weight",
    type=click.FloatRange(0, 1),
    help="The rule's share of the reward; default: all, or half with a reward model, which under half may overrule it.",
)
@click.option("--out", required=True, type=FILE, help="Folder for the best adapter, metrics, curves and stages.")
@click.option("--held-out", type=FILE, help="Questions to measure on; default: some of --questions, not trained on.")
@click.option("--held-out-questions", default=200, show_default=True, help="How many questions to measure on.")
@click.option("--stages", default=4, show_default=True, help="T: how often to sample, reward, rank and fine-tune.")
@click.option("--batch", default=256, show_default=True, help="b: prompts of a stage.")
@click.option("--samples", default=8, show_default=True, help="K: answers drawn for a prompt.")
@click.option("--temperature", default=1.0, show_default=True)
@click.option("--max-new-tokens", type=click.IntRange(1), default=128, show_default=True, help="Longest answer drawn.")
@click.option("--ranking", type=click.Choice(["prompt", "batch"]), default="prompt", show_default=True)
@click.option("--accept-one-in", default=4, show_default=True, help="k: --ranking batch keeps the floor(b/k) best.")
@click.option("--kl-weight", default=0.0, show_default=True, help="Penalty for drifting from the start, per nat.")
@click.option("--skip-decided/--keep-decided", default=True, help="Prompts whose samples are all wrong, or equal.")
@click.option("--replay-share", default=0.1, show_default=True, help="Share of gold answers among a stage's rows.")
@click.option("--learning-rate", default=2e-4, show_default=True)
@click.option("--epochs", default=1.0, show_default=True, help="How often a stage trains on what it kept.")
@click.option("--rows-at-once", default=8, show_default=True, help="Rows in memory together, of 8 a step.")
@click.option("--max-tokens", type=click.IntRange(16), default=512, show_default=True, help="Longest row to train on.")
@click.option("--gradient-checkpointing", is_flag=True, help="Train in less memory, about a third slower.")
@click.option("--limit", type=click.IntRange(2), help="Draw so many questions at random.")
@click.option("--seed", default=0, show_default=True)
@click.option("--resume", is_flag=True, help="Go on at the first step that is not finished in --out.")
@click.option("--report-to", default="none", show_default=True, help="Where else metrics go, such as wandb.")
@click.option("--plan", "planned", is_flag=True, help="Tell parameters, memory and tokens, and do nothing else.")
def raft(planned: bool, **options: Any) -> None:
    """Align a fine-tuned generator with RAFT (arXiv:2304.06767): sample answers, reward, rank, fine-tune on the best.

    The reward is a rule (a gold answer that a triple backs is right, an unsupported one is punished), a reward model,
    or both: then, by default, the reward model chooses among answers that are right by the rule, and has no say where
    each question has one gold answer. --out gets the adapter of the stage that is best on held-out questions.

    Without --adapter it starts from the shipped one of the embedded model, or begins a new one on a model that
    `kbqa finetune sft --full` wrote.

    Example: kbqa finetune raft --questions train.nlpcc --index my-index --adapter my-adapter --out my-aligned
    """
    from finetune.processes import is_main
    from finetune.published_tests import refuse_test_questions
    from finetune.raft import run
    from finetune.raft_config import RaftConfig
    from finetune.raft_plan import raft_plan_lines

    config = RaftConfig(**options)
    refuse_test_questions(config.questions, config.out)
    if planned:
        click.echo("\n".join(raft_plan_lines(config)))
        return
    result = run(config)
    if is_main():
        click.echo(_stages(result))


def _stages(result: Any) -> str:
    compared = result.comparison
    rows = {name: compared[name] for name in ("sft", "sft_best_of_k", "raft")}
    figures = ", ".join(f"{name} {row['f1']:.4f} (exact match {row['exact_match']:.4f})" for name, row in rows.items())
    stopped = "; stopped, as the reward rose while held-out F1 fell" if result.alarm else ""
    return (
        f"{result.out}: stage {result.best} of {len(result.stages) - 1} is best{stopped}; "
        f"F1 on {compared['questions']} held-out questions: {figures}"
    )


def _losses(result: Any) -> str:
    cut = f" ({result.n_cut:,} cut, {result.n_dropped:,} dropped)" if result.n_cut or result.n_dropped else ""
    losses = f"{result.loss_before:.3f} -> {result.loss_after:.3f} nats a token" if result.loss_after else "none"
    return (
        f"{result.out}: {result.steps} steps on {result.n_rows:,} rows{cut} in {result.seconds:.0f} s; "
        f"validation loss {losses}"
    )
