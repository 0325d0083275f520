"""`kbqa serve` and `kbqa mcp`: an index for browsers, programs and assistants."""

from __future__ import annotations

import logging
import signal
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.agents import open_agent, settled
from cli.options import FILE, feedback_option, generator_options, index_option

if TYPE_CHECKING:
    from kbqa_agent.feedback import FeedbackStore
    from kbqa_agent.serving.systems import System
    from kbqa_agent.types import Generator

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
@generator_options
def serve(index: Path, systems: tuple[str, ...], feedback: str | None, store: str | None, **options: Any) -> None:
    """Serve an index: a page, REST, OpenAI-compatible routes, and MCP. SIGHUP reloads the index.

    \b
    Example: kbqa serve --index my-index
             kbqa serve --index my-index --host 0.0.0.0 --api-key-file keys.txt
             kbqa serve --index my-index --system gpt=openai:URL#gpt-4,closed-book --system tuned=MODEL,ADAPTER
    """  # noqa: D301 - click's mark
    # Whoever wants a reload while the server starts gets what the folder holds anyway.
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, lambda *_: None)
    from kbqa_agent.server import AgentRecipe, ServeSettings, create_app, run_server
    from kbqa_agent.serving.database import store_beside

    names = ("host", "port", "api_key_file", "no_auth", "rate", "burst", "waiting_questions", "request_seconds",
             "drain_seconds", "processes", "log_questions", "allowed_hosts", "cors_origins",
             "trusted_proxies")  # fmt: skip
    chosen: dict[str, Any] = {name: options.pop(name) for name in names}
    kept = None if store == "none" else Path(store) if store else store_beside(index)
    settings = ServeSettings(**chosen, store=kept)
    if settings.log_questions:
        logging.getLogger("kbqa_agent.serving").setLevel(logging.INFO)
    with ExitStack() as opened:
        people = _people(index, feedback, opened)
        if systems:
            options["model"] = "none"
        elif (own := _generator(options, settings.request_seconds)) is not None:
            opened.callback(getattr(own, "close", bool))
            options |= {"model": own, "adapter": None}
        agent = opened.enter_context(open_agent(index, feedback=people, **options))
        opened.enter_context(settled(agent))
        recipe = AgentRecipe(index, agent.config, people.path if people else None, options["ranker"])
        named = _systems(systems, settings.request_seconds)
        for system in (named or {}).values():
            opened.callback(getattr(system.generator, "close", bool))
        app = create_app(agent, settings, named, recipe)
        run_server(app, settings, lambda text: click.echo(text, err=True))


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


def _generator(options: dict[str, Any], seconds: float) -> Generator | None:
    """The generator that the options name, in a process of its own if it is one of this machine."""
    from kbqa_agent.gguf_cache import embedded_is_installed
    from kbqa_agent.serving.system_specs import generator_for

    model, is_used = options["model"], options["closed_book"] or options["generator"] != "never"
    if model == "none" or not is_used or (model is None and not embedded_is_installed()):
        return None
    click.echo("loading the generator", err=True)
    return generator_for(model, options["adapter"], seconds)


def _people(index: Path, feedback: str | None, opened: ExitStack) -> FeedbackStore | None:
    """The file of feedback, which is made where there is none."""
    from kb_index.manifest import read_manifest
    from kbqa_agent.feedback import FeedbackStore, feedback_beside

    read_manifest(index)  # a file is made for an index alone
    return None if feedback == "none" else opened.enter_context(FeedbackStore(feedback or feedback_beside(index)))


def _systems(specs: tuple[str, ...], seconds: float) -> dict[str, System] | None:
    from kbqa_agent.serving.system_specs import systems_from

    if not specs:
        return None
    click.echo("loading the systems", err=True)
    return systems_from(specs, seconds)
