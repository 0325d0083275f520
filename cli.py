"""The command line: each command parses, calls the library once and prints.

Results go to standard output; progress and logs to standard error. Exit status 0 is done, 1 an error of the kind a user
can mend (one line that says how), 2 wrong usage. Heavy packages load inside the commands, so that `--help` is quick.
"""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kb_index.errors import KBQAError

if TYPE_CHECKING:
    from kbqa_agent.agent import KBQAgent
    from kbqa_agent.types import Answer

FILE = click.Path(path_type=Path)
index_option = click.option("--index", required=True, type=FILE, envvar="KBQA_INDEX", help="Index folder.")
questions_option = click.option("--questions", required=True, type=FILE, help="Question file: NLPCC, KgCLUE, MetaQA or text2text.")


def generator_options(command: Any) -> Any:
    """Add the options that say which generator answers, and when."""
    options = (
        click.option("--model", envvar="KBQA_MODEL", help="Hugging Face name, folder or .gguf file; 'none' for the ranker alone."),
        click.option("--adapter", help="LoRA adapter folder; 'none' for the bare model."),
        click.option("--generator", type=click.Choice(["always", "unsure", "never"]), default="unsure", show_default=True,
                     help="When the generator weighs the ranker's best candidates."),
        click.option("--closed-book", is_flag=True, help="Let the generator answer from memory, without triples."),
        click.option("--free-text", is_flag=True, help="Let the generator write the answer; one that no triple backs is marked."),
    )  # fmt: skip
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


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="kbqa", prog_name="kbqa")
@click.option("-v", "--verbose", is_flag=True, help="Log what happens to standard error.")
def main(verbose: bool) -> None:
    """Answer questions from a knowledge base of triples, with evidence and calibrated confidence."""
    level = logging.INFO if verbose else logging.WARNING
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)


@main.command()
@click.argument("files", nargs=-1, required=True, type=FILE)
@click.option("--out", required=True, type=FILE, help="Folder to write the index to; an index there is replaced when the new one is whole.")
@click.option("--format", "format_", type=click.Choice(["auto", "nlpcc"]), default="auto", show_default=True)
@click.option("--encoder", help="model2vec folder or SentenceTransformer name; default: character vectors made from the names.")
@click.option("--seed", default=0, show_default=True)
def index(files: tuple[Path, ...], out: Path, format_: str, encoder: str | None, seed: int) -> None:
    """Build an index from files of triples, lines of `subject ||| predicate ||| object`.

    Example: kbqa index my.kb --out my-index
    """
    from kb_index import build_index

    del format_  # one format so far
    manifest = build_index(files, out, encoder=encoder, seed=seed)
    click.echo(manifest.summary())


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
    """Ask one question after the other; follow-ups such as 那人口呢？ are understood. Ends with Ctrl-D."""
    from kbqa_agent.dialogue import Dialogue

    dialogue = Dialogue()
    with _open(index, **options) as agent:
        for line in sys.stdin if not sys.stdin.isatty() else iter(_prompted, None):
            if line.strip():
                _print_answer(agent.ask(line.strip(), dialogue), False)


@main.command(name="eval")
@index_option
@questions_option
@click.option("--format", "format_", default="auto", show_default=True, help="Format of the question file.")
@click.option("--out", required=True, type=FILE, help="Folder for report.json, report.md, per_question.jsonl, predictions.nlpcc, plots/.")
@click.option("--limit", type=click.IntRange(1), help="Draw so many questions at random.")
@click.option("--seed", default=0, show_default=True)
@generator_options
def evaluate(index: Path, questions: Path, format_: str, out: Path, limit: int | None, seed: int, **options: Any) -> None:
    """Ask every question of a file and report MRR, MAP, averaged F1, BLEU, ROUGE and their intervals.

    Example: kbqa eval --index my-index --questions test.nlpcc --out report --model none
    """
    from eval.report import SystemInfo, report_markdown
    from eval.runner import EvalOptions
    from eval.runner import evaluate as run
    from kbqa_agent.qa_data import read_questions

    examples = read_questions(questions, format_)
    with _open(index, **options) as agent:
        name = agent.generator.name if agent.generator else "none"
        system = SystemInfo(model=name, adapter=options["adapter"], index=str(index))
        report = run(agent, examples, out, EvalOptions(limit=limit, seed=seed, system=system))
    click.echo(report_markdown(report))


@main.group()
def finetune() -> None:
    """Train the ranker or a generator on question-answer pairs."""


@finetune.command()
@index_option
@questions_option
@click.option("--out", type=FILE, help="Folder for the ranker; default: the index's own, where ask and eval find it.")
@click.option("--seed", default=0, show_default=True)
def ranker(index: Path, questions: Path, out: Path | None, seed: int) -> None:
    """Train the ranker that orders triples, and calibrate its probabilities.

    Example: kbqa finetune ranker --questions train.nlpcc --index my-index
    """
    from finetune.ranker import RankerConfig, train_ranker
    from kb_index import KnowledgeBase
    from kbqa_agent.qa_data import read_questions

    with KnowledgeBase.open(index) as kb:
        result = train_ranker(kb, read_questions(questions), out or index / "ranker", RankerConfig(seed=seed))
    click.echo(
        f"{result.n_questions:,} questions in {result.seconds:.0f} s; the answer was among the candidates of "
        f"{result.recall:.1%}; held-out MRR {result.validation_mrr:.3f}"
    )


def _open(index: Path, model: str | None, adapter: str | None, generator: Any, closed_book: bool, free_text: bool) -> KBQAgent:
    from kbqa_agent.agent import KBQAgent
    from kbqa_agent.config import AgentConfig

    config = AgentConfig(generator="always" if closed_book else generator, closed_book=closed_book, free_text=free_text)
    return KBQAgent.open(index, model=model, adapter=adapter, config=config)


def _prompted() -> str | None:
    try:
        return input("> ")
    except EOFError:
        return None


def _print_answer(answer: Answer, as_json: bool) -> None:
    from kbqa_agent.answer_json import answer_to_json

    if as_json:
        click.echo(json.dumps(answer_to_json(answer), ensure_ascii=False))
        return
    click.echo(_headline(answer))
    for candidate in answer.candidates[:3]:
        for t in candidate.evidence[:1]:
            click.echo(f"  {candidate.score:5.1%}  {t.subject} | {t.predicate} | {t.object}")


def _headline(answer: Answer) -> str:
    reasons = {
        "no_entity": "nothing in the question is an entity of the knowledge base",
        "no_attribute": "the knowledge base does not say",
        "ambiguous": "several entities of that name fit",
        "low_confidence": "no candidate is likely enough",
    }
    if answer.abstained is not None:
        return f"(no answer: {reasons[answer.abstained]})"
    note = f"({answer.confidence:.0%})" if answer.supported else "(the generator's own words, backed by no triple)"
    return f"{answer.text}  {note}"


if __name__ == "__main__":
    main()
