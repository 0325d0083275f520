"""`kbqa serve` and `kbqa mcp`: an index for browsers, programs and assistants."""

from __future__ import annotations

import logging
import signal
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.agents import check_index, open_agent, recipe_of, settled
from cli.options import FILE, engine_options, feedback_option, generator_options, index_option, ray_option

if TYPE_CHECKING:
    from kbqa_agent.feedback import FeedbackStore
    from kbqa_agent.server import Replicas

__all__ = ["mcp", "serve"]

SECONDS = click.FloatRange(0, min_open=True)
_names = "Name that requests may call the server by; may be repeated. Default on this machine's own address: its names."


@click.command()
@index_option
@click.option("--host", default="127.0.0.1", show_default=True, help="Another one needs --api-key-file or --no-auth.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="0: any that is free.")
@click.option("--api-key-file", type=FILE, envvar="KBQA_API_KEY_FILE", help="Lines NAME KEY, or NAME KEY admin.")
@click.option("--no-auth", is_flag=True, help="Let everybody who can reach the server use it.")
@click.option("--allow-host", "allowed_hosts", multiple=True, metavar="NAME", help=_names)
@click.option("--cors-origin", "cors_origins", multiple=True, metavar="URL", help="Other site whose pages may call.")
@click.option("--trusted-proxy", "trusted_proxies", multiple=True, metavar="ADDRESS", help="Believe who it says calls.")
@click.option("--rate", type=click.FloatRange(0), help="Requests a second of a caller; 0: any. Default: 20 for others.")
@click.option("--burst", type=click.IntRange(1), default=100, show_default=True, help="Requests of a caller at once.")
@click.option("--queue", "waiting_questions", type=click.IntRange(1), default=128, show_default=True,
              help="Questions under way; more are told to come again.")  # fmt: skip
@click.option(
    "--processes", type=click.IntRange(0), help="Processes that rank; 0: the server alone. Default: one a processor."
)
@click.option("--request-seconds", type=SECONDS, default=30.0, show_default=True, help="Time for one request.")
@click.option(
    "--drain-seconds", type=SECONDS, default=30.0, show_default=True, help="Time to end what runs, at the end."
)
@click.option("--system", "systems", multiple=True, metavar="NAME=MODEL[,ADAPTER]",
              help="A system to answer and compare; may be repeated, the first is the default.")  # fmt: skip
@feedback_option
@click.option("--store", help="File of dialogues and votes; default: beside the index; 'none': in memory.")
@click.option("--log-questions", is_flag=True, help="Write questions into the log.")
@engine_options
@ray_option("--replicas", type=click.IntRange(1), help="With --engine ray: servers behind one address. Default: 1.")
@ray_option("--max-replicas", type=click.IntRange(1), help="With --engine ray: as many as this under load.")
@ray_option("--gpus-per-replica", type=click.FloatRange(0), help="With --engine ray: what each server reserves.")
@generator_options
def serve(index: Path, systems: tuple[str, ...], feedback: str | None, store: str | None, **options: Any) -> None:
    """Serve an index: a page, REST, OpenAI-compatible routes, and MCP. SIGHUP reloads the index.

    \b
    Example: kbqa serve --index my-index
             kbqa serve --index my-index --host 0.0.0.0 --api-key-file keys.txt
             kbqa serve --index my-index --engine ray --replicas 2 --max-replicas 8
             kbqa serve --index my-index --system gpt=openai:URL#gpt-4,closed-book --system tuned=MODEL,ADAPTER
    """  # noqa: D301 - click's mark
    # Whoever wants a reload while the server starts gets what the folder holds anyway.
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, lambda *_: None)
    from kbqa_agent.feedback import feedback_beside
    from kbqa_agent.server import ServeSettings, open_app, run_replicas, run_server
    from kbqa_agent.serving.database import store_beside

    names = ("host", "port", "api_key_file", "no_auth", "rate", "burst", "waiting_questions", "request_seconds",
             "drain_seconds", "processes", "log_questions", "allowed_hosts", "cors_origins",
             "trusted_proxies")  # fmt: skip
    chosen: dict[str, Any] = {name: options.pop(name) for name in names}
    ray_address, replicas = options.pop("ray_address"), _replicas(options)
    kept = None if store == "none" else Path(store) if store else store_beside(index)
    settings = ServeSettings(**chosen, store=kept)
    if settings.log_questions:
        logging.getLogger("kbqa_agent.serving").setLevel(logging.INFO)
    given = None if feedback == "none" else Path(feedback) if feedback else feedback_beside(index)
    recipe = recipe_of(index, feedback=given, **options)

    def tell(text: str) -> None:
        click.echo(text, err=True)

    if replicas is None:
        with open_app(recipe, settings, systems, tell=tell) as app, settled(app.state.service.source.now.base):
            run_server(app, settings, tell)
        return
    from kb_index.ray_session import ray_session

    check_index(index)
    with ray_session(ray_address):
        run_replicas(recipe, settings, replicas, systems, tell)


@click.command()
@index_option
@feedback_option
@generator_options
def mcp(index: Path, feedback: str | None, **options: Any) -> None:
    """Serve an index to an assistant over standard input and output, by the Model Context Protocol.

    Example: kbqa mcp --index my-index
    """
    from kbqa_agent.server import run_mcp

    with ExitStack() as opened:
        people = _people(index, feedback, opened)
        agent = opened.enter_context(open_agent(index, feedback=people, **options))
        opened.enter_context(settled(agent))
        run_mcp(agent)


def _replicas(options: dict[str, Any]) -> Replicas | None:
    """How many servers Ray Serve is to run; None for one of this process."""
    from kbqa_agent.server import Replicas

    engine, *wanted = (options.pop(name) for name in ("engine", "replicas", "max_replicas", "gpus_per_replica"))
    if engine == "local":
        return None
    least, most, gpus = wanted
    if most is not None and (least or 1) > most:
        raise click.UsageError(
            f"--replicas {least} is more than --max-replicas {most}; lower the one or raise the other"
        )
    return Replicas(least or 1, most, gpus or 0.0)


def _people(index: Path, feedback: str | None, opened: ExitStack) -> FeedbackStore | None:
    """The file of feedback, which is made where there is none."""
    from kbqa_agent.feedback import FeedbackStore, feedback_beside

    check_index(index)  # a file is made for an index alone
    return None if feedback == "none" else opened.enter_context(FeedbackStore(feedback or feedback_beside(index)))
