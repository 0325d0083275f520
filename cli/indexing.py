"""`kbqa index`: files of triples become an index, in one piece or in shards, or change the one that is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.options import FILE, TRIPLE_FORMATS, engine_options, ray_option

if TYPE_CHECKING:
    from kb_index import Manifest, ReadOptions

__all__ = ["index"]


@click.command()
@click.argument("files", nargs=-1)
@click.option("--out", type=FILE, help="Index folder; one that is there is replaced by the whole new one.")
@click.option("--format", "file_format", type=click.Choice(TRIPLE_FORMATS), default="auto", show_default=True)
@click.option("--columns", metavar="S,P,O", help="Names of the columns of subject, predicate and object.")
@click.option(
    "--encoder", help="model2vec folder or SentenceTransformer name; default: made from the characters of names."
)
@click.option("--memory-limit", default="3GB", show_default=True, help="What DuckDB takes before it spills to disk.")
@click.option("--seed", default=0, show_default=True)
@click.option("--shards", type=click.IntRange(1), help="Divide the index into so many, by subject.")
@engine_options
@ray_option(
    "--gpus-per-task",
    type=click.FloatRange(0),
    help="With --engine ray: GPUs, or a part of one, for each task that encodes names. Default: one, if there are any.",
)
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
             kbqa index 's3://bucket/parts/*.nlpcc' --out my-index --shards 16 --engine ray --ray-address HOST:PORT
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
        (options["shards"] and (update or delete), "--shards is for a new index"),
        (options["engine"] == "ray" and not options["shards"], "--engine ray needs --shards"),
        (options["plot"] or options["as_json"], "--plot and --json need --stats"),
    )
    for is_wrong, text in problems:
        if is_wrong:
            raise click.UsageError(text)


def _write_index(files: Sequence[str], out: Path, update: bool, delete: bool, **options: Any) -> str:
    from kb_index import ReadOptions, delete_triples, update_index
    from kb_index.manifest import RANKER_FOLDER
    from kb_index.summaries import build_summary, update_summary

    where = _conditions(options["where"])
    read = ReadOptions(options["file_format"], _columns(options["columns"]), options["memory_limit"])
    if update:
        return update_summary(update_index(files, out, options=read), out)
    if delete:
        info = delete_triples(out, sources=files, subjects=options["subjects"], where=where, options=read)
        return update_summary(info, out)
    had_ranker = (out / RANKER_FOLDER).is_dir()
    manifest = _build(files, out, read, **options)
    gone = f"\n  the ranker of the old index went with it; train one: kbqa finetune ranker --index {out}"
    return build_summary(manifest, out) + (gone if had_ranker else "")


def _build(files: Sequence[str], out: Path, read: ReadOptions, **options: Any) -> Manifest:
    encoder, seed = options["encoder"], options["seed"]
    if not options["shards"]:
        from kb_index import build_index

        return build_index(files, out, options=read, encoder=encoder, seed=seed)
    from kb_index.shards.build import ShardedBuild
    from kb_index.shards.engines import open_engine

    build = ShardedBuild(options["shards"], options=read, encoder=encoder, seed=seed, gpus=options["gpus_per_task"])
    chunks = build.checked(files, out)  # before Ray starts
    with open_engine(options["engine"], options["ray_address"]) as engine:
        return replace(build, engine=engine).build(chunks, out)


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
