"""Parts of a package that load when they are first named, and need packages of an extra."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from importlib import import_module
from typing import Any

from kb_index.errors import MissingExtraError

__all__ = ["load_part"]


def load_part(module: str, name: str, places: Mapping[str, str], extra: str, packages: Collection[str]) -> Any:
    """Load what a module has under a name: `places` says in which module each part is.

    Raises: AttributeError for a name that is none of them; MissingExtraError where one of the extra's packages is not
    installed.
    """
    if name not in places:
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    try:
        return getattr(import_module(places[name]), name)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in packages:
            raise
        raise MissingExtraError(extra, package.replace("_", "-")) from error
