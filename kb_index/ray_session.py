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

__all__ = ["ray_session"]


@contextmanager
def ray_session(address: str | None = None) -> Iterator[Any]:
    """Lend the module `ray`, connected; what was not connected before is disconnected at the end.

    `address` is a cluster's `HOST:PORT` (`auto`: the one that runs here). Without it, that is what `RAY_ADDRESS` names,
    else the cluster that `ray start` left running here, else a new one of this machine alone. The processes of a
    cluster must be able to import this package, in the same version.

    Raises:
        MissingExtraError: Ray is not installed.
        InputError: there is no cluster at the address, or none that lets this process in.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray tells its makers of each cluster otherwise
    try:
        ray: Any = import_module("ray")
    except ImportError as error:
        raise MissingExtraError("ray", "ray") from error
    if ray.is_initialized():
        yield ray
        return
    named = address or os.environ.get("RAY_ADDRESS")
    _check_reachable(named)
    try:
        ray.init(address, include_dashboard=False, log_to_driver=False, logging_level=logging.WARNING)
    except (ConnectionError, ray.exceptions.AuthenticationError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise InputError(
            f"Ray cluster {named!r}: lets no connection in ({reason}); one with a token, as `ray start` makes it where "
            "~/.ray/auth_token is, wants the same file here and RAY_AUTH_MODE=token in the environment"
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _check_reachable(address: str | None) -> None:
    """Ask for a connection first: Ray itself tries for minutes before it gives up."""
    host, _, port = (address or "").rpartition("/")[2].rpartition(":")
    if not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except OSError as error:
        raise InputError(
            f"Ray cluster {address!r}: not reached ({error.strerror or error}); expected the HOST:PORT of a running "
            "one, or no --ray-address for a new one here"
        ) from error
