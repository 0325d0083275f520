"""Many systems over one index and one question file: what a file of systems says, and the evaluation of each.

    [[system]]
    name = "RAFT"
    note = "SmolLM2-135M, LoRA, 2 stages"     # what it really is
    published = "LLaMA 7B"                    # the row of the report's table that it stands beside
    baseline = true                           # the others are compared with this one; else with the first
    limit = 500                               # ask so many drawn questions, not all
    model = "embedded"                        # and the other options of `kbqa eval`, with _ for -
    adapter = "runs/raft"
    generator = "always"

What the file leaves out is as on the command line. Paths begin where the command is run.
"""

from __future__ import annotations

import logging
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from eval.identity import ranker_name
from eval.published import PUBLISHED
from eval.results import SystemResult
from eval.runner import EvalOptions, evaluate
from kb_index.errors import InputError, KBQAError, MissingExtraError, StorageError
from kbqa_agent.agent import KBQAgent
from kbqa_agent.types import QAExample

__all__ = ["SYSTEMS", "Opener", "System", "baseline_of", "evaluate_systems", "read_systems"]

logger = logging.getLogger(__name__)

SYSTEMS = "systems"
"""The folder, in that of a comparison, that has a folder for each system."""

ABOUT: dict[str, type | tuple[type, ...]] = {
    "name": str,
    "note": str,
    "published": str,
    "baseline": bool,
    "limit": int,
}
OPTIONS: dict[str, type | tuple[type, ...]] = {
    "model": str,
    "adapter": str,
    "generator": str,
    "ranker": str,
    "closed_book": bool,
    "free_text": bool,
    "decoding": str,
    "answerable": (int, float),
    "max_risk": (int, float),
}


@dataclass(frozen=True, slots=True)
class System:
    """One system as the file has it; `options` are those of `kbqa eval` that it sets itself."""

    name: str
    note: str = ""
    published: str | None = None
    baseline: bool = False
    limit: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        """Its name as the name of a folder."""
        return re.sub(r"[^\w.+-]+", "-", self.name).strip("-.")


Opener = Callable[[Mapping[str, Any]], AbstractContextManager[KBQAgent]]
"""Opens the agent that the options of a system describe."""


def read_systems(path: Path) -> list[System]:
    """Read a file of systems. Raises: InputError, which names the system and the key that are to blame."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); expected a TOML file of systems") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path}: cannot be read as TOML ({error}); expected [[system]] tables") from error
    listed = tables.get("system")
    if set(tables) != {"system"} or not isinstance(listed, list) or not listed:
        raise InputError(f"{path}: expected one [[system]] table or more, and nothing else; got {sorted(tables)}")
    systems = [_system(table, f"{path}: system {number}") for number, table in enumerate(listed, 1)]
    for what in ("name", "folder"):
        told = [getattr(system, what).casefold() for system in systems]
        if twice := next((name for name in told if told.count(name) > 1), None):
            raise InputError(f"{path}: two systems are called {twice!r}; give each a name of its own")
    if sum(system.baseline for system in systems) > 1:
        raise InputError(f"{path}: two systems say baseline = true; expected one at most")
    return systems


def _system(table: Any, where: str) -> System:
    if not isinstance(table, dict) or not isinstance(name := table.get("name"), str) or not System(name).folder:
        raise InputError(f'{where} has no name; expected name = "..."')
    where = f"{where} ({name})"
    for key, value in table.items():
        wanted = (ABOUT | OPTIONS).get(key)
        if wanted is None:
            raise InputError(f"{where}: unknown key {key!r}; expected one of {', '.join(ABOUT | OPTIONS)}")
        if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
            raise InputError(f"{where}: {key} = {value!r} is of the wrong type")
    if "limit" in table and table["limit"] < 1:
        raise InputError(f"{where}: limit = {table['limit']}: expected at least 1")
    if (published := table.get("published")) is not None and published not in PUBLISHED:
        raise InputError(f"{where}: published = {published!r}: expected one of {', '.join(PUBLISHED)}")
    about: dict[str, Any] = {
        key: " ".join(v.split()) if isinstance(v, str) else v for key, v in table.items() if key in ABOUT
    }
    return System(
        **about,
        options={key: value for key, value in table.items() if key in OPTIONS},
    )


def baseline_of(systems: Sequence[System]) -> System:
    """The system that the others are compared with."""
    return next((system for system in systems if system.baseline), systems[0])


def evaluate_systems(
    systems: Sequence[System], open_agent: Opener, examples: Sequence[QAExample], out: Path, options: EvalOptions
) -> list[SystemResult]:
    """Evaluate each system into a folder of its own in `out`; one that fails does not keep the others from theirs.

    Of the drawn questions a system with a limit is asked a part, the same for all systems of that limit. Raises:
    StorageError, MissingExtraError.
    """
    results = []
    for number, system in enumerate(systems, 1):
        logger.info("system %d of %d: %s", number, len(systems), system.name)
        results.append(_evaluated(system, open_agent, examples, out / SYSTEMS / system.folder, options))
    return results


def _evaluated(
    system: System, open_agent: Opener, examples: Sequence[QAExample], out: Path, options: EvalOptions
) -> SystemResult:
    limits = [limit for limit in (options.limit, system.limit) if limit is not None]
    try:
        with open_agent(system.options) as agent:
            generator = agent.generator
            info = replace(
                options.system,
                model=generator.name if generator else "none",
                adapter=getattr(generator, "adapter", None),
                ranker=ranker_name(agent),
            )
            chosen = replace(options, limit=min(limits, default=None), expected_share=agent.expected_share, system=info)
            found = evaluate(agent, examples, out, chosen)
            return SystemResult(system.name, *found, note=system.note, published=system.published)
    except (StorageError, MissingExtraError):  # those that follow would fail by it too
        raise
    except Exception as error:  # whatever it is, the other systems have theirs to say
        reason = " ".join(str(error).split()) or type(error).__name__
        logger.warning("%s failed: %s", system.name, reason, exc_info=not isinstance(error, KBQAError))
        return SystemResult(system.name, None, note=system.note, published=system.published, error=reason)
