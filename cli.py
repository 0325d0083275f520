"""The command line: each command parses, calls the library once and prints.

Results go to standard output; progress and logs to standard error. Exit status 0 is done, 1 an error of the kind a user
can mend (one line that says how), 2 wrong usage. Heavy packages load inside the commands, so that `--help` is quick.
"""

from __future__ import annotations

import gc
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kb_index.errors import KBQAError, QuestionError

if TYPE_CHECKING:
    from kbqa_agent.agent import KBQAgent
    from kbqa_agent.types import Answer

DEMO_QUESTIONS = ("法国的首都是哪里？", "那人口呢？", "那日本呢？", "格鲁吉亚用什么货币？", "法国的总统是谁？")
DUCKDB_INTERRUPTED = "Query interrupted"
FILE = click.Path(path_type=Path)
TRIPLE_FORMATS = ["auto", "nlpcc", "tsv", "csv", "jsonl", "parquet", "ntriples", "turtle"]
QUESTION_FORMATS = click.Choice(["auto", "nlpcc", "kgclue", "metaqa", "text2text"])
DECODINGS = click.Choice(["free", "constrained"])
RISK = click.FloatRange(0, 1, min_open=True)
index_option = click.option("--index", required=True, type=FILE, envvar="KBQA_INDEX", help="Index folder.")
questions_option = click.option(
    "--questions", required=True, type=FILE, help="Question file: NLPCC, KgCLUE, MetaQA or text2text."
)


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
        click.option("--closed-book", is_flag=True, help="Let the generator answer from memory, without triples."),
        click.option("--free-text", is_flag=True, help="Let the generator write; what no triple backs is marked."),
        click.option(
            "--decoding",
            type=DECODINGS,
            default="free",
            show_default=True,
            help="What --free-text writes: anything, or a candidate.",
        ),
        click.option("--answerable", type=RISK, help="Share of the questions thought to have an answer; default: 0.9."),
        click.option("--max-risk", type=RISK, help="Tolerated share of wrong answers, such as 0.05: else be silent."),
    )
    for option in reversed(options):
        command = option(command)
    return command


class Commands(click.Group):
    """A group whose commands end with one line and status 1 when the library raises a KBQAError."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except KBQAError as error:
            click.echo(f"kbqa: {error}", err=True)
            ctx.exit(1)
        except BrokenPipeError:
            sys.stderr.close()
            ctx.exit(0)
        except OSError as error:
            click.echo(f"kbqa: {error.strerror or error}; nothing more was written", err=True)
            ctx.exit(1)
        except (KeyboardInterrupt, RuntimeError) as error:
            if isinstance(error, RuntimeError) and str(error) != DUCKDB_INTERRUPTED:
                raise
            click.echo("kbqa: interrupted; what was there before is as it was", err=True)
            ctx.exit(130)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="kbqa", prog_name="kbqa")
@click.option("-v", "--verbose", is_flag=True, help="Log what happens to standard error.")
def main(verbose: bool) -> None:
    """Answer questions from a knowledge base of triples, with evidence and calibrated confidence."""
    level = logging.INFO if verbose else logging.WARNING
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)


@main.command()
@click.argument("files", nargs=-1)
@click.option("--out", type=FILE, help="Index folder; one that is there is replaced by the whole new one.")
@click.option("--format", "file_format", type=click.Choice(TRIPLE_FORMATS), default="auto", show_default=True)
@click.option("--columns", metavar="S,P,O", help="Names of the columns of subject, predicate and object.")
@click.option(
    "--encoder", help="model2vec folder or SentenceTransformer name; default: made from the characters of names."
)
@click.option("--memory-limit", default="3GB", show_default=True, help="What DuckDB takes before it spills to disk.")
@click.option("--seed", default=0, show_default=True)
@click.option("--update", is_flag=True, help="Add the triples to the index that is there.")
@click.option(
    "--delete",
    is_flag=True,
    help="Remove the triples of the files; or, without files, what --subject or --where names.",
)
@click.option(
    "--subject", "subjects", multiple=True, help="With --delete: all triples of this subject; may be repeated."
)
@click.option(
    "--where",
    multiple=True,
    metavar="COLUMN=VALUE",
    help="With --delete: what only lines with this value (of each column, if repeated) state.",
)
@click.option("--stats", type=FILE, metavar="DIR", help="Tell what an index holds, and do nothing else.")
@click.option("--plot", type=FILE, help="With --stats: draw it too, as .png or .svg.")
@click.option("--json", "as_json", is_flag=True, help="With --stats: print one JSON object.")
def index(files: tuple[str, ...], out: Path | None, **options: Any) -> None:
    """Build an index from files of triples, or change the one that is there.

    Formats: lines of `subject ||| predicate ||| object`, TSV, CSV, JSON lines, Parquet, N-Triples, Turtle; packed by
    gzip, bzip2 or zstd; a pattern in quotation marks; `-` for standard input.

    \b
    Example: kbqa index my.kb --out my-index
             kbqa index 'parts/*.csv.gz' --columns who,what,value --out my-index
             kbqa index new.tsv --out my-index --update
             kbqa index --out my-index --delete --where source=wiki-2020
             kbqa index --stats my-index --plot my-index.png
    """  # noqa: D301 - click's mark
    if options["stats"]:
        if files or out:
            raise click.UsageError("--stats takes no files and no --out")
        _show_stats(options["stats"], options["plot"], options["as_json"])
    elif out is None:
        raise click.UsageError("Missing option '--out'.")
    else:
        _check_usage(**options)
        click.echo(_write_index(files, out, **options))


def _check_usage(update: bool, delete: bool, **options: Any) -> None:
    problems = (
        (update and delete, "--update and --delete exclude each other"),
        ((options["subjects"] or options["where"]) and not delete, "--subject and --where need --delete"),
        (
            (options["encoder"] or options["seed"]) and (update or delete),
            "--encoder and --seed are for a new index; --update and --delete keep those it was built with",
        ),
        (options["plot"] or options["as_json"], "--plot and --json need --stats"),
    )
    for is_wrong, text in problems:
        if is_wrong:
            raise click.UsageError(text)


def _write_index(files: Sequence[str], out: Path, update: bool, delete: bool, **options: Any) -> str:
    from kb_index import ReadOptions, build_index, delete_triples, update_index
    from kb_index.summaries import build_summary, update_summary

    where = _conditions(options["where"])
    read = ReadOptions(options["file_format"], _columns(options["columns"]), options["memory_limit"])
    if update:
        return update_summary(update_index(files, out, options=read), out)
    if delete:
        info = delete_triples(out, sources=files, subjects=options["subjects"], where=where, options=read)
        return update_summary(info, out)
    manifest = build_index(files, out, options=read, encoder=options["encoder"], seed=options["seed"])
    return build_summary(manifest, out)


def _show_stats(index: Path, plot: Path | None, as_json: bool) -> None:
    from kb_index.stats.forms import stats_to_json, stats_to_text
    from kb_index.stats.numbers import index_stats
    from kb_index.stats.plot import write_stats_plot

    found = index_stats(index)
    click.echo(stats_to_json(found) if as_json else stats_to_text(found))
    if plot:
        write_stats_plot(found, plot)


def _columns(text: str | None) -> tuple[str, str, str] | None:
    if text is None:
        return None
    names = [name.strip() for name in text.split(",")]
    if len(set(names)) != 3 or len(names) != 3 or not all(names):
        raise click.BadParameter(f"{text!r}: expected three different names: --columns subject,predicate,object")
    return names[0], names[1], names[2]


def _conditions(texts: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts:
        column, equals, value = text.partition("=")
        if not (equals and column) or column in found:
            raise click.BadParameter(f"{text!r}: expected one value for a column: --where source=wiki-2020")
        found[column] = value
    return found


@main.command()
@click.argument("question")
@index_option
@generator_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def ask(question: str, index: Path, as_json: bool, **options: Any) -> None:
    """Answer one question, with the triples that the answer rests on.

    Example: kbqa ask 法国的首都是哪里？ --index my-index
    """
    with _open(index, **options) as agent:
        _print_answer(agent.ask(question), as_json)


@main.command()
@index_option
@generator_options
def chat(index: Path, **options: Any) -> None:
    """Ask one question after the other; follow-ups such as 那人口呢？ are understood. Ends with Ctrl-D.

    Example: kbqa chat --index my-index
    """
    from kbqa_agent.dialogue import Dialogue

    dialogue = Dialogue()
    with _open(index, **options) as agent, _settled(agent):
        for line in iter(_prompted, None) if sys.stdin.isatty() else sys.stdin:
            try:
                if line.strip():
                    _print_answer(agent.ask(line.strip(), dialogue), as_json=False)
            except QuestionError as error:
                click.echo(f"kbqa: {error}", err=True)


@main.command(name="eval")
@index_option
@questions_option
@click.option("--format", "format_", type=QUESTION_FORMATS, default="auto", show_default=True, help="Of the questions.")
@click.option("--out", required=True, type=FILE, help="Folder for the report, the predictions and the plots.")
@click.option("--limit", type=click.IntRange(1), help="Draw so many questions at random.")
@click.option("--seed", default=0, show_default=True)
@click.option(
    "--unanswerable",
    is_flag=True,
    help="Hide from half of the questions what they ask for: test silence. --answerable is 0.5 then by default.",
)
@generator_options
def evaluate(index: Path, questions: Path, format_: str, out: Path, **options: Any) -> None:
    """Ask every question of a file and report MRR, MAP, averaged F1, BLEU, ROUGE and their intervals.

    Example: kbqa eval --index my-index --questions test.nlpcc --out report --model none
    """
    from eval.report import SystemInfo, report_markdown
    from eval.runner import EvalOptions
    from eval.runner import evaluate as run
    from eval.unanswerable import ANSWERABLE
    from kbqa_agent.qa_data import read_questions

    examples = read_questions(questions, format_)
    chosen = {name: options.pop(name) for name in ("limit", "seed", "unanswerable")}
    if chosen["unanswerable"] and options["answerable"] is None:
        options["answerable"] = ANSWERABLE
    with _open(index, **options) as agent, _settled(agent):
        name = agent.generator.name if agent.generator else "none"
        system = SystemInfo(model=name, adapter=getattr(agent.generator, "adapter", None), index=str(index))
        report = run(agent, examples, out, EvalOptions(**chosen, expected_share=agent.expected_share, system=system))
    click.echo(report_markdown(report))


@main.group()
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
def ranker(
    index: Path, questions: Path, out: Path | None, model: str | None, adapter: str | None, **options: Any
) -> None:
    """Train the ranker that orders triples, and calibrate its probabilities.

    With --encoder, such as a small Chinese sentence encoder, the ranker also compares the question with each attribute
    in meaning. It then needs that encoder, unchanged and in its place, for every question.

    \b
    Example: kbqa finetune ranker --questions train.nlpcc --index my-index
             kbqa finetune ranker --questions train.nlpcc --index my-index --encoder ./my-encoder
    """  # noqa: D301 - click's mark
    from finetune.ranker import RankerConfig, train_ranker
    from kb_index import KnowledgeBase
    from kbqa_agent.generation import open_generator
    from kbqa_agent.qa_data import read_questions

    generator = open_generator(model, adapter) if model not in (None, "none") else None
    config = RankerConfig(**options)
    with KnowledgeBase.open(index) as kb:
        result = train_ranker(kb, read_questions(questions), out or index / "ranker", config, generator)
    click.echo(
        f"{result.n_questions:,} questions in {result.seconds:.0f} s; the answer was among the candidates of "
        f"{result.recall:.1%}; held-out MRR {result.validation_mrr:.3f}"
    )


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


@finetune.command()
@questions_option
@click.option("--index", type=FILE, envvar="KBQA_INDEX", help="Index whose triples go into the prompts.")
@click.option("--closed-book", is_flag=True, help="Train on questions and answers without triples.")
@click.option("--preset", type=click.Choice(["gpt2", "gpt2-xl", "galactica-1.3b", "llama-7b"]), help="Model, settings.")
@click.option(
    "--model", envvar="KBQA_MODEL", help="Hugging Face name, folder or .gguf file; default: the embedded model."
)
@click.option("--adapter", type=FILE, help="Adapter to go on from; default: a new one.")
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
    from finetune.questions import sample_rows, training_rows
    from finetune.sft import run

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
@click.option("--held-out", "held_out_share", default=0.2, show_default=True, help="Share of prompts to measure by.")
@click.option("--control/--no-control", default=None, help="Train on shuffled labels, too; default: to 1,000 pairs.")
@click.option("--seed", default=0, show_default=True)
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint in --out.")
@click.option("--report-to", default="none", show_default=True, help="Where else metrics go, such as wandb.")
def reward(
    preferences: tuple[Path, ...], questions: Path | None, index: Path | None, limit: int | None, **options: Any
) -> None:
    """Train a model that tells the better of two answers, and measure it on held-out prompts.

    \b
    Example: kbqa finetune reward --preferences feedback.jsonl --out my-reward
             kbqa finetune reward --questions train.nlpcc --index my-index --limit 500 --out my-reward
    """  # noqa: D301 - click's mark
    from finetune.pairs import gather_preferences
    from finetune.reward import train_reward_model
    from finetune.reward_config import RewardConfig

    if not preferences and questions is None:
        raise click.UsageError("Missing option '--preferences' or '--questions'.")
    config = RewardConfig(**options)
    click.echo(train_reward_model(config, gather_preferences(preferences, questions, index, limit, config.seed)))


@finetune.command()
@questions_option
@click.option("--index", type=FILE, envvar="KBQA_INDEX", help="Index whose triples go into the prompts.")
@click.option("--closed-book", is_flag=True, help="Train on questions and answers without triples.")
@click.option("--model", envvar="KBQA_MODEL", help="Hugging Face name, folder or .gguf file; default: the embedded.")
@click.option("--adapter", type=FILE, help="Adapter to start from; default: the shipped one of the embedded model.")
@click.option("--reward-model", type=FILE, help="Folder from `kbqa finetune reward`.")
@click.option(
    "--rule-weight", type=click.FloatRange(0, 1), help="The rule's share of the reward; default: all or half."
)
@click.option("--out", required=True, type=FILE, help="Folder for the best adapter, metrics, curves and stages.")
@click.option("--held-out", type=FILE, help="Questions to measure on; default: some of --questions, not trained on.")
@click.option("--held-out-questions", default=200, show_default=True, help="How many questions to measure on.")
@click.option("--stages", default=4, show_default=True, help="T: how often to sample, reward, rank and fine-tune.")
@click.option("--batch", default=256, show_default=True, help="b: prompts of a stage.")
@click.option("--samples", default=8, show_default=True, help="K: answers drawn for a prompt.")
@click.option("--temperature", default=1.0, show_default=True)
@click.option("--ranking", type=click.Choice(["prompt", "batch"]), default="prompt", show_default=True)
@click.option("--accept-one-in", default=4, show_default=True, help="k: --ranking batch keeps the floor(b/k) best.")
@click.option("--kl-weight", default=0.0, show_default=True, help="Penalty for drifting from the start, per nat.")
@click.option("--skip-decided/--keep-decided", default=True, help="Prompts whose samples are all right or all wrong.")
@click.option("--replay-share", default=0.1, show_default=True, help="Share of gold answers among a stage's rows.")
@click.option("--learning-rate", default=2e-4, show_default=True)
@click.option("--epochs", default=1.0, show_default=True, help="How often a stage trains on what it kept.")
@click.option("--rows-at-once", default=8, show_default=True, help="Rows in memory together, of 8 a step.")
@click.option("--gradient-checkpointing", is_flag=True, help="Train in less memory, about a third slower.")
@click.option("--limit", type=click.IntRange(2), help="Draw so many questions at random.")
@click.option("--seed", default=0, show_default=True)
@click.option("--resume", is_flag=True, help="Go on at the first step that is not finished in --out.")
@click.option("--report-to", default="none", show_default=True, help="Where else metrics go, such as wandb.")
def raft(rule_weight: float | None, **options: Any) -> None:
    """Align a fine-tuned generator with RAFT (arXiv:2304.06767): sample answers, reward, rank, fine-tune on the best.

    The reward is a rule (a gold answer that a triple backs is right, an unsupported one is punished), a reward model,
    or both. --out gets the adapter of the stage that is best on held-out questions.

    Example: kbqa finetune raft --questions train.nlpcc --index my-index --adapter my-adapter --out my-aligned
    """
    from finetune.raft import run
    from finetune.raft_config import RaftConfig

    weight = rule_weight if rule_weight is not None else (0.5 if options["reward_model"] else 1.0)
    click.echo(_stages(run(RaftConfig(rule_weight=weight, **options))))


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


def _open(
    index: Path, model: str | None, adapter: str | None, answerable: float | None = None, **options: Any
) -> KBQAgent:
    from kbqa_agent.agent import KBQAgent
    from kbqa_agent.config import AgentConfig

    if options["closed_book"]:
        options["generator"] = "always"
    if answerable is not None:
        options["answerable_share"] = answerable
    config = AgentConfig(**options)
    return KBQAgent.open(index, model=model, adapter=adapter, config=config)


@contextmanager
def _settled(agent: KBQAgent) -> Iterator[None]:
    """Load first what a later question would wait for, and keep all that is loaded out of garbage collections.

    Python would go through it again and again, tens of milliseconds each. Only a program may decide that, no library.
    """
    agent.kb.preload()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()  # what the process still holds at its end is freed in order only if it can be collected


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


def _prompted() -> str | None:
    try:
        return input("> ")
    except EOFError:
        return None


def _print_answer(answer: Answer, as_json: bool) -> None:
    from kbqa_agent.answer_forms import answer_to_json, answer_to_text

    click.echo(json.dumps(answer_to_json(answer), ensure_ascii=False) if as_json else answer_to_text(answer))


if __name__ == "__main__":
    main()
