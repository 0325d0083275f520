"""A connection to a Ray cluster, or one on this machine for as long as the work takes."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from kb_index.errors import InputError, MissingExtraError

__all__ = ["check_gpus", "ray_session"]

_EXPECTED = "expected the HOST:PORT of a running one, or no --ray-address for a new one here"
_LET_IN = "one that asks for a token wants its ~/.ray/auth_token here, and RAY_AUTH_MODE=token"
"""Ray sends no token to an address that it is told, unless this is set."""


@contextmanager
def ray_session(address: str | None = None) -> Iterator[Any]:
    """Lend the module `ray`, connected; what was not connected before is disconnected at the end.

    `address` is a cluster's `HOST:PORT` (`auto`: the one that runs here). Without it, that is what `RAY_ADDRESS` names,
    else the cluster that `ray start` left running here, else a new one of this machine alone. The processes of a
    cluster must be able to import this package, in the same version.

    Raises:
        MissingExtraError: Ray is not installed.
        InputError: there is no cluster at the address, or it does not let us in, or none can be started here.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray tells its makers of each cluster otherwise
    try:
        ray: Any = import_module("ray")
    except ImportError as error:
        raise MissingExtraError("ray", "ray") from error
    if ray.is_initialized():
        yield ray
        return
    _connect(ray, address, address or os.environ.get("RAY_ADDRESS"))
    try:
        yield ray
    finally:
        ray.shutdown()


def _connect(ray: Any, address: str | None, named: str | None) -> None:
    _check_reachable(named)
    try:
        ray.init(address, include_dashboard=False, log_to_driver=False, logging_level=logging.WARNING)
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        ray.shutdown()
        what = f"Ray cluster {named!r}: cannot be used" if named else "Ray: cannot be started here"
        reason = str(error).strip().split("\n", 1)[0].split(". ", 1)[0].rstrip(".")  # what follows is Ray's own advice
        raise InputError(f"{what} ({reason}); {_EXPECTED}{f'; {_LET_IN}' if named else ''}") from error


def _check_reachable(address: str | None) -> None:
    """Ask for a connection first: Ray itself tries for minutes before it gives up."""
    host, _, port = (address or "").rpartition("/")[2].rpartition(":")
    if not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"Ray cluster {address!r}: not reached ({reason}); {_EXPECTED}") from error


def check_gpus(gpus: float, holder: str, example: str = "0.5") -> None:
    """Make sure that a task or a process can be given so many GPUs. Raises: InputError."""
    if gpus > 1 and gpus != int(gpus):
        raise InputError(f"{gpus:g} GPUs for {holder}: expected a whole number, or a part of one: {example}")
