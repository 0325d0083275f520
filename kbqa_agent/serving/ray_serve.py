"""Runs the server as replicas of a Ray Serve deployment until SIGTERM or Ctrl-C; SIGHUP reloads the index of all.

Ray Serve's HTTP proxy listens, on the machine of the cluster's head alone, and gives each request to a replica.
"""

from __future__ import annotations

import logging
import re
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from queue import SimpleQueue
from typing import Any

from kb_index.errors import InputError, MissingExtraError, WorkerError
from kb_index.ray_session import check_gpus
from kbqa_agent.ray_places import n_places
from kbqa_agent.recipe import AgentRecipe
from kbqa_agent.serving.callers import Keys
from kbqa_agent.serving.ray_replica import ALL_SECONDS, NAME, Replica, raised_by
from kbqa_agent.serving.running import listen, url_of
from kbqa_agent.serving.settings import ServeSettings

__all__ = ["Replicas", "run_replicas"]

logger = logging.getLogger(__name__)

ONGOING = 8.0
"""So many requests a replica has under way, on the average, before there is to be another one."""

CPUS = 1
"""What a replica reserves."""
RETRIES = 3
_OURS = re.compile(r"^kb_index\.errors\.\w+: (.+)$", re.MULTILINE)
"""How an error of ours stands in what Ray Serve tells of a replica that did not start."""


@dataclass(frozen=True, slots=True)
class Replicas:
    """So many servers, or, with `most`, from so many on as many as the requests need; `gpus` are of each."""

    least: int = 1
    most: int | None = None
    gpus: float = 0.0

    def __post_init__(self) -> None:
        if self.most is not None and self.most < self.least:
            raise InputError(f"least={self.least}: more than most={self.most}; lower the one or raise the other")
        check_gpus(self.gpus, "a server")


def run_replicas(
    recipe: AgentRecipe,
    settings: ServeSettings,
    replicas: Replicas,
    systems: Sequence[str] = (),
    tell: Callable[[str], None] = logger.info,
) -> None:
    """Serve from the Ray that this process is connected to, until a signal; `tell` is told the address.

    Raises: as `open_app`; InputError when nobody can listen there, or Ray Serve runs there already; WorkerError when no
    replica can start.
    """
    try:
        from ray import serve
    except ImportError as error:
        raise MissingExtraError("ray", "ray[serve]") from error

    if settings.api_key_file is not None:
        Keys.read(settings.api_key_file)
    recipe.without_model().open().close()  # what is wrong with the index is told here, in one line
    if serve.status().proxies:
        raise InputError("Ray Serve runs on this cluster already, at an address of its own; run: serve shutdown")
    _tell_of_room(replicas, tell)
    _warn_of_several_machines(recipe, settings)
    with listen(settings) as listening:
        port, address = listening.getsockname()[1], url_of(listening)
    logging.getLogger("ray.serve").setLevel(logging.WARNING)  # it tells of every step otherwise
    with _reloads() as reloads, suppress(KeyboardInterrupt):
        try:
            serve.start(
                proxy_location="HeadOnly",
                http_options={"host": settings.host.strip("[]"), "port": port},
                logging_config={"enable_access_log": False},
            )
            handle = _deployed(recipe.from_anywhere(), _from_anywhere(settings), replicas, systems)
            tell(f"{address} answers; Ctrl-C ends it")
            while reloads.get():
                _reload(handle, tell)
        finally:
            serve.shutdown()


def _tell_of_room(replicas: Replicas, tell: Callable[[str], None]) -> None:
    """Tell where the cluster has too few machines as yet, for which Ray waits in silence."""
    import ray

    there = n_places(ray, CPUS, replicas.gpus)
    if there < replicas.least:
        tell(
            f"the cluster has room for {there} of {replicas.least} servers of {CPUS} CPU and {replicas.gpus:g} GPUs; "
            "waiting for more machines, else lower --replicas or --gpus-per-replica"
        )


def _deployed(recipe: AgentRecipe, settings: ServeSettings, replicas: Replicas, systems: Sequence[str]) -> Any:
    """Let replicas start, and wait until they answer."""
    from ray import serve

    number: dict[str, Any] = {"num_replicas": replicas.least}
    if replicas.most is not None:
        scaling = {"min_replicas": replicas.least, "max_replicas": replicas.most, "target_ongoing_requests": ONGOING}
        number = {"autoscaling_config": scaling}
    deployment: Any = serve.deployment(
        serve.ingress()(Replica),
        name=NAME,
        ray_actor_options={"num_cpus": CPUS, "num_gpus": replicas.gpus},
        max_ongoing_requests=settings.waiting_questions + settings.waiting_lookups,  # the replica itself refuses more
        max_constructor_retry_count=RETRIES,
        graceful_shutdown_timeout_s=settings.drain_seconds,
        graceful_shutdown_wait_loop_s=0.2,
        logging_config={"enable_access_log": False},
        **number,
    )
    try:
        return serve.run(deployment.bind(recipe, settings, tuple(systems)), name=NAME, route_prefix="/")
    except RuntimeError as error:
        deployments = serve.status().applications[NAME].deployments
        told = "\n".join([str(error), *(deployment.message for deployment in deployments.values())])
        found = _OURS.search(told)
        reason = found[1] if found else " ".join(told.split())[-300:]
        raise WorkerError(f"no replica of Ray Serve could start: {reason}") from error


def _reload(handle: Any, tell: Callable[[str], None]) -> None:
    try:
        told = handle.broadcast("reload").results(timeout_s=ALL_SECONDS, return_exceptions=True)
    except Exception:  # no replica is there, or one hangs
        logger.exception("reload failed; replicas may have different indexes open: reload again")
        return
    failed = [(number, error) for number, error in enumerate(map(raised_by, told), 1) if error is not None]
    for number, error in failed:
        logger.error("reload of replica %d: %s; the index that was open goes on serving", number, error)
    if not failed:
        tell("reloaded; all replicas have the index that the folder holds now")


def _from_anywhere(settings: ServeSettings) -> ServeSettings:
    """The same with whole paths, for processes that are in another folder."""
    paths = {name: getattr(settings, name) for name in ("api_key_file", "store")}
    return replace(settings, **{name: path and path.resolve() for name, path in paths.items()})


def _warn_of_several_machines(recipe: AgentRecipe, settings: ServeSettings) -> None:
    import ray

    machines = {node["NodeManagerHostname"] for node in ray.nodes() if node["Alive"]}
    if len(machines) > 1 and (settings.store or recipe.feedback):
        logger.warning(
            "%d machines: SQLite's files of dialogues and feedback are safe on one alone; leave them out: "
            "--store none --feedback none (docs/serving.md has what then is missing)",
            len(machines),
        )


@contextmanager
def _reloads() -> Iterator[SimpleQueue[bool]]:
    """Lend a queue with an item for each SIGHUP; SIGTERM raises KeyboardInterrupt, as Ctrl-C does."""
    wanted: SimpleQueue[bool] = SimpleQueue()
    handlers: dict[str, Any] = {
        "SIGTERM": signal.default_int_handler,
        "SIGINT": signal.default_int_handler,
        "SIGHUP": lambda *_: wanted.put(True),
    }
    numbers = {getattr(signal, name): handler for name, handler in handlers.items() if hasattr(signal, name)}
    before = {number: signal.signal(number, handler) for number, handler in numbers.items()}
    try:
        yield wanted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
