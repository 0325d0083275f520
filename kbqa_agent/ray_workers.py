"""Agents in Ray's actors that answer what `ask_many` is asked: many processes, machines, or shares of GPUs.

Each opens index, ranker, feedback and model for itself, by one recipe. Ray's own restarts of actors are not used: a
batch would wait for the actor that had it, which may never find a place again, though others are idle. So a worker
that dies is replaced here, and its batches go to whoever is free.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from kb_index.closing import Closing
from kb_index.errors import KBQAError, ModelError, WorkerError
from kb_index.manifest import Manifest
from kb_index.ray_session import check_gpus
from kbqa_agent.agent import KBQAgent
from kbqa_agent.batching import AT_ONCE
from kbqa_agent.ray_actor import AskedActor, ElsewhereGenerator, Identity
from kbqa_agent.ray_places import n_places
from kbqa_agent.recipe import AgentRecipe
from kbqa_agent.types import Answer

__all__ = ["RayWorkers", "open_over_ray"]

IN_FLIGHT = 2
"""So many batches are with a worker: it answers one while another is on its way."""
AHEAD = 4
"""So many batches for each worker are begun before the one whose answers are wanted."""
TRIES = 4
"""After so many deaths over the same batch, or in opening, it is not tried again."""
SILENT_SECONDS = 60.0

logger = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class _Worker:
    """An actor; `opening` is what its opening will give, None once it is open; `n_deaths` those that it stands for."""

    actor: Any
    opening: Any
    n_deaths: int = 0


class RayWorkers(Closing):
    """So many actors of the Ray that this process is connected to, as many as find a place if not said.

    `cpus` and `gpus` are what each reserves; with 0.25 of a GPU four of them share one. They answer from the state of
    the index that the manifest is of. For one `answers` at a time.

    Raises: as `AgentRecipe.open` and `check_gpus`; ModelError where they would not answer alike; WorkerError where none
    stays alive.
    """

    def __init__(
        self, recipe: AgentRecipe, manifest: Manifest, workers: int | None = None, cpus: float = 1.0, gpus: float = 0.0
    ) -> None:
        check_gpus(gpus, "a worker")
        import ray

        self._ray: Any = ray
        self._begin = recipe.from_anywhere(), manifest
        self._actor: Any = ray.remote(AskedActor).options(num_cpus=cpus, num_gpus=gpus, scheduling_strategy="SPREAD")
        self._needs = f"{cpus:g} CPUs, {gpus:g} GPUs"
        self._identity: Identity | None = None
        self._workers = [self._started() for _ in range(workers or max(1, n_places(ray, cpus, gpus)))]

    def identity(self) -> Identity:
        """What all workers are, as soon as one of them is open."""
        while self._identity is None:
            self._wait([])
        return self._identity

    def close(self) -> None:
        """End the actors."""
        for worker in self._workers:
            self._ray.kill(worker.actor)
        self._workers.clear()

    def answers(self, questions: Sequence[str]) -> Iterator[Answer]:
        """Answer the questions, in their order; a batch whose worker dies is asked again."""
        batches = [questions[start : start + AT_ONCE] for start in range(0, len(questions), AT_ONCE)]
        return chain.from_iterable(self._in_order(batches))

    def _in_order(self, batches: Sequence[Sequence[str]]) -> Iterator[list[Answer]]:
        left, lost = deque(range(len(batches))), Counter[int]()
        under_way: dict[Any, tuple[int, _Worker]] = {}
        done: dict[int, list[Answer]] = {}
        for wanted in range(len(batches)):
            while wanted not in done:
                while left and left[0] < wanted + AHEAD * len(self._workers) and (worker := self._free(under_way)):
                    number = left.popleft()
                    under_way[worker.actor.answers.remote(batches[number])] = number, worker
                for ref in self._wait(list(under_way)):
                    answers = self._got(ref)
                    if answers is None and under_way[ref][1] in self._workers:
                        worker = under_way[ref][1]
                        ran = next(n for n, w in under_way.values() if w is worker)  # a worker's others wait for it
                        self._replace(worker)
                        lost[ran] += 1
                        if lost[ran] == TRIES:
                            raise WorkerError(
                                f"{TRIES} workers of Ray ended over the same questions, perhaps as memory was full; "
                                f"the first: {batches[ran][0][:60]!r}; use fewer --workers"
                            )
                    number, _ = under_way.pop(ref)
                    if answers is None:
                        left.appendleft(number)
                    else:
                        done[number] = answers
            yield done.pop(wanted)

    def _free(self, under_way: dict[Any, tuple[int, _Worker]]) -> _Worker | None:
        """The worker with the fewest batches, None where all that are open have enough."""
        load = Counter(worker for _, worker in under_way.values())
        least = min((w for w in self._workers if w.opening is None), key=lambda w: load[w], default=None)
        return least if least is not None and load[least] < IN_FLIGHT else None

    def _wait(self, refs: Sequence[Any]) -> list[Any]:
        """Wait until something is there: which of the batches, after what it means for the workers was done."""
        opening = {worker.opening: worker for worker in self._workers if worker.opening is not None}
        there, _ = self._ray.wait([*refs, *opening], timeout=SILENT_SECONDS)
        if not there and len(opening) == len(self._workers):
            logger.warning(
                "no worker of Ray is open after %.0f seconds; each needs %s, and there are %s",
                SILENT_SECONDS,
                self._needs,
                {name: self._ray.cluster_resources().get(name, 0) for name in ("CPU", "GPU")},
            )
        for ref in there:
            if ref in opening:
                self._look_at(opening[ref])
        return [ref for ref in there if ref not in opening]

    def _look_at(self, worker: _Worker) -> None:
        """Take a worker that is open; replace one that died before."""
        identity = self._got(worker.opening)
        if identity is None:
            self._replace(worker)
            return
        if self._identity not in (None, identity):
            raise ModelError(
                f"Ray's workers would not answer alike, one is {self._identity}, another {identity}; "
                "have the same kbqa, extras, models and shards on all machines"
            )
        self._identity, worker.opening = identity, None

    def _replace(self, worker: _Worker) -> None:
        """Start another one in place of a worker that died, unless that was done."""
        if worker not in self._workers:
            return
        n_deaths = worker.n_deaths + 1 if worker.opening is not None else 0
        if n_deaths == TRIES:
            raise WorkerError(
                f"a worker of Ray ended {TRIES} times before it could answer, perhaps as memory was full; "
                "use fewer --workers, or see Ray's logs"
            )
        logger.warning("a worker of Ray has died; another takes its place, and what it was asked is asked again")
        self._ray.kill(worker.actor)
        self._workers[self._workers.index(worker)] = replace(self._started(), n_deaths=n_deaths)

    def _started(self) -> _Worker:
        actor = self._actor.remote(*self._begin)
        return _Worker(actor, actor.open.remote())

    def _got(self, ref: Any) -> Any:
        """What an actor gives; None where it is lost. Raises: what it raised."""
        from ray import exceptions

        died = (exceptions.RayActorError, exceptions.ObjectLostError, exceptions.NodeDiedError)
        try:
            return self._ray.get(ref)
        except KBQAError as error:
            raise getattr(error, "cause", error) from None
        except (*died, exceptions.WorkerCrashedError, exceptions.OutOfMemoryError):
            return None


@contextmanager
def open_over_ray(recipe: AgentRecipe, workers: int | None = None, gpus: float = 0.0) -> Iterator[KBQAgent]:
    """Open an agent whose `ask_many` asks workers of the Ray that this process is connected to; here it has no model.

    Raises: as `RayWorkers`.
    """
    with recipe.without_model().open() as agent, RayWorkers(recipe, agent.kb.manifest, workers, gpus=gpus) as asked:
        there, here = asked.identity(), Identity.of(agent)
        if there[:2] != here[:2]:
            raise ModelError(
                f"Ray's workers have kbqa and ranker {there[:2]}, and here are {here[:2]}; install the same"
            )
        agent.config = replace(agent.config, closed_book=recipe.config.closed_book)
        if there.generator:
            # A report names an adapter as its user did, not by the path that it has for the workers.
            is_given = there.adapter is not None and there.adapter == recipe.from_anywhere().adapter
            agent.generator = ElsewhereGenerator(there._replace(adapter=str(recipe.adapter)) if is_given else there)
        agent.workers = asked
        yield agent
