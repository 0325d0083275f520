"""`kbqa feedback`: what people said of answers, how to add to it, take it back, and hand it to trainings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.agents import open_agent
from cli.options import FILE, feedback_option, generator_options, index_option

if TYPE_CHECKING:
    from kbqa_agent.feedback import FeedbackStore
    from kbqa_agent.feedback_records import FeedbackRecord

__all__ = ["feedback"]

SHOWN_CHARS = 100
user_option = click.option("--user", default="local", show_default=True, help="Who gives, or takes back.")
of_user_option = click.option("--user", help="Only what this person gave.")
place_option = click.option("--index", type=FILE, envvar="KBQA_INDEX", help="Index beside which the feedback lies.")


@click.group()
def feedback() -> None:
    """Keep what people think of answers, and see, undo and export it.

    Feedback lies in one SQLite file, by default beside the index folder as NAME.feedback.sqlite. kbqa ask and kbqa chat
    use it where it is there; --feedback names another file, and --feedback none switches it off.
    """


@feedback.command()
@index_option
@click.option("--question", required=True, help="The question, which is asked anew.")
@click.option("--rating", required=True, type=click.Choice(["good", "bad", "unknown"]), help="unknown: not in there.")
@click.option("--answer", help="The candidate that is rated; default: what the agent answers.")
@click.option("--correction", help="What the answer should have been; with --rating bad.")
@click.option("--comment", help="Anything else.")
@user_option
@feedback_option
@generator_options
def add(index: Path, question: str, rating: Any, feedback: str | None, **options: Any) -> None:
    """Ask a question and keep what a person thinks of the answer.

    \b
    Example: kbqa feedback add --index my-index --question 法国的首都是哪里？ --rating good
             kbqa feedback add --index my-index --question 他写过什么？ --rating bad --correction 红楼梦 --user li
    """  # noqa: D301 - click's mark
    from kbqa_agent.feedback import feedback_beside
    from kbqa_agent.feedback_checks import about_candidate
    from kbqa_agent.legible import legible

    chosen, given = options.pop("answer"), {name: options.pop(name) for name in ("correction", "comment", "user")}
    if feedback == "none":
        raise click.UsageError("--feedback none keeps nothing; name a file.")
    with open_agent(index, feedback=Path(feedback) if feedback else feedback_beside(index), **options) as agent:
        answer = agent.ask(question)
        rated = about_candidate(answer, chosen) if chosen is not None else answer
        number = agent.give_feedback(rated, rating, **given)
        told, after = rated.text or "(no answer)", agent.ask(question)
    click.echo(legible(f"{number}: {rating} for {told}; the answer is now {after.text or '(no answer)'}"))


@feedback.command(name="list")
@place_option
@feedback_option
@of_user_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line, with what was shown.")
def list_(index: Path | None, feedback: str | None, user: str | None, as_json: bool) -> None:
    """List all feedback, also what was undone, in the order in which it was given.

    Example: kbqa feedback list --index my-index --user li
    """
    from kbqa_agent.feedback_records import record_to_json

    with _open(index, feedback) as store:
        for record in store.records(user):
            click.echo(json.dumps(record_to_json(record), ensure_ascii=False) if as_json else _line(record))


@feedback.command()
@click.argument("number", type=int)
@place_option
@feedback_option
@user_option
def undo(number: int, index: Path | None, feedback: str | None, user: str) -> None:
    """Let the feedback of this number count no longer; the record of it stays.

    Example: kbqa feedback undo 12 --index my-index
    """
    with _open(index, feedback) as store:
        store.undo(number, user)
    click.echo(f"{number}: undone")


@feedback.command()
@place_option
@feedback_option
@of_user_option
@click.option("--out", required=True, type=FILE, help="File to write; one that is there is kept.")
@click.option("--force", is_flag=True, help="Replace the file that is there.")
@click.option(
    "--as",
    "form",
    type=click.Choice(["preferences", "questions", "records"]),
    default="preferences",
    show_default=True,
    help="Pairs for finetune reward; an NLPCC file for finetune raft, sft and ranker; or all there is, as JSON lines.",
)
def export(index: Path | None, feedback: str | None, user: str | None, out: Path, force: bool, form: str) -> None:
    """Write feedback as what trainings read; what was undone is left out.

    \b
    Example: kbqa feedback export --index my-index --out preferences.jsonl
             kbqa feedback export --index my-index --as questions --out confirmed.nlpcc
    """  # noqa: D301 - click's mark
    from finetune.feedback_export import export_feedback

    with _open(index, feedback) as store:
        if out.resolve() == store.path.resolve():
            raise click.UsageError("--out is the file of feedback itself; name another.")
        click.echo(export_feedback(store.records(user, undone=False), form, out, replace=force))


@feedback.command()
@place_option
@click.option("--store", type=FILE, help="File of kbqa serve that holds the votes; default: beside the index.")
@click.option("--out", required=True, type=FILE, help="File to write; one that is there is kept.")
@click.option("--force", is_flag=True, help="Replace the file that is there.")
def votes(index: Path | None, store: Path | None, out: Path, force: bool) -> None:
    """Write people's votes between two answers, from the page of kbqa serve, as pairs for finetune reward.

    Example: kbqa feedback votes --index my-index --out preferences.jsonl
    """
    from finetune.vote_rows import export_votes
    from kbqa_agent.serving.database import ServerDatabase, store_beside
    from kbqa_agent.serving.votes import VoteStore

    if store is None and index is None:
        raise click.UsageError("Missing option '--store' or '--index'.")
    with ServerDatabase(store or store_beside(Path(index or "")), create=False) as database:
        click.echo(export_votes(VoteStore(database).all(), out, replace=force))


def _open(index: Path | None, feedback: str | None) -> FeedbackStore:
    from kbqa_agent.feedback import FeedbackStore, feedback_beside

    if feedback == "none" or (feedback is None and index is None):
        raise click.UsageError("Missing option '--feedback' or '--index'.")
    return FeedbackStore(feedback or feedback_beside(Path(index or "")), create=False)


def _line(record: FeedbackRecord) -> str:
    from kbqa_agent.prompts import escape

    given, undone = record.feedback, record.undone
    shown = escape(given.answer, SHOWN_CHARS) if given.answer is not None else "(no answer)"
    said = [
        f"{escape(given.question, SHOWN_CHARS)} -> {shown}",
        f"correction: {escape(given.correction, SHOWN_CHARS)}" if given.correction else "",
        f"comment: {escape(given.comment, SHOWN_CHARS)}" if given.comment else "",
        f"undone by {undone.user} {undone.created[:16].replace('T', ' ')}" if undone else "",
    ]
    when = record.created[:16].replace("T", " ")
    return f"{record.id:5}  {when}  {record.user}  {given.rating:7}  " + "; ".join(filter(None, said))
