"""The systems that a command line names: NAME=MODEL[,ADAPTER][,closed-book|free-text]."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kb_index.errors import InputError
from kbqa_agent.serving.systems import RANKER, System
from kbqa_agent.types import Generator

__all__ = ["generator_for", "systems_from"]

USES = ("closed-book", "free-text")
EXPECTED = "expected NAME=MODEL, NAME=MODEL,ADAPTER, and perhaps ,closed-book or ,free-text"


def systems_from(specs: Sequence[str], seconds: float | None = None) -> dict[str, System]:
    """Load the systems in their order, and add the ranker alone; `seconds` is as in `generator_for`.

    Raises: InputError, ModelError, MissingExtraError.
    """
    parsed = [_parsed(spec) for spec in specs]
    names = [name for name, *_ in parsed]
    twice = next((name for name in names if names.count(name) > 1 or name == RANKER), None)
    if twice is not None:
        reason = "is always there" if twice == RANKER else "is there twice"
        raise InputError(f"system {twice!r}: {reason}; give each system a name of its own")
    systems = {name: _loaded(name, model, adapter, uses, seconds) for name, model, adapter, uses in parsed}
    return systems | {RANKER: System(RANKER)}


def _parsed(spec: str) -> tuple[str, str, str | None, list[str]]:
    name, equals, text = spec.partition("=")
    model, *rest = [part.strip() for part in text.split(",")]
    uses = [part for part in rest if part in USES]
    adapters = [part for part in rest if part not in USES]
    if not (equals and name.strip() and model) or len(uses) > 1 or len(adapters) > 1 or "" in adapters:
        raise InputError(f"system {spec!r}: {EXPECTED}")
    return name.strip(), model, adapters[0] if adapters else None, uses


def _loaded(name: str, model: str, adapter: str | None, uses: Sequence[str], seconds: float | None) -> System:
    if model == "none":
        if adapter or uses:
            raise InputError(f"system {name!r}: 'none' is the ranker alone, without adapter or use of a model")
        return System(name)
    return System(name, generator_for(model, adapter, seconds), "closed-book" in uses, "free-text" in uses)


def generator_for(model: str | Path | None, adapter: str | Path | None, seconds: float | None = None) -> Generator:
    """Open a model for a server: one of this machine in a process of its own, one behind a server as it is.

    `seconds` is the time of a request, after which nobody waits for a model behind a server.

    Raises: ModelError, MissingExtraError.
    """
    from kbqa_agent.endpoint_generator import is_endpoint
    from kbqa_agent.generation import open_generator
    from kbqa_agent.serving.generator_process import GeneratorProcess

    return open_generator(model, adapter, seconds) if is_endpoint(model) else GeneratorProcess(model, adapter)
