"""What a cluster is asked for."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

import pytest

from kb_index import ray_session as session
from kb_index.errors import InputError, TripleFileError, WorkerError
from kb_index.shards.engines import RayEngine, open_engine


class TaskError(ZeroDivisionError):
    """What a task raised, as Ray raises it."""

    def __init__(self, cause: Exception) -> None:
        super().__init__("ray::_outcome() (pid=1)\nTraceback ...")
        self.cause = cause


class FakeRay:
    """Does tasks at once, and remembers what each was to be given."""

    def __init__(self, gpus: float) -> None:
        self._gpus, self.given = gpus, list[dict[str, Any]]()
        self.exceptions = type("exceptions", (), {"RayError": ZeroDivisionError, "RayTaskError": TaskError})

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 4.0} | ({"GPU": self._gpus} if self._gpus else {})

    def remote(self, function: Callable[..., Any]) -> Any:
        def done(*arguments: Any) -> Any:
            try:
                return function(*arguments)
            except OSError as error:
                return TaskError(error)

        def options(**given: Any) -> Any:
            self.given.append(given)
            return type("remote", (), {"remote": staticmethod(done)})

        return type("function", (), {"options": staticmethod(options)})

    def wait(self, waiting: list[Any], **_: Any) -> tuple[list[Any], list[Any]]:
        return waiting[:1], waiting[1:]

    def get(self, done: list[Any]) -> list[Any]:
        for outcome in done:
            if isinstance(outcome, TaskError):
                raise outcome
        return done

    def cancel(self, task: Any) -> None: ...


@pytest.mark.parametrize(
    ("there", "asked", "given"), [(0, None, 0), (4, None, 1), (4, 0.25, 0.25), (4, 0, 0), (0, 0, 0)]
)
def test_a_task_gets_the_gpus_that_it_needs(there: float, asked: float | None, given: float) -> None:
    ray, done = FakeRay(there), []
    RayEngine(ray).run(print, ["", ""], done.append, asked)
    assert [(options["num_cpus"], options["num_gpus"]) for options in ray.given] == [(1, given)]
    assert done == [1, 1]


def test_more_gpus_than_there_are_are_not_waited_for() -> None:
    with pytest.raises(InputError, match="2 GPUs for a task: the cluster has 1; ask for less"):
        RayEngine(FakeRay(1)).run(print, [""], print, 2)


def test_gpus_that_ray_does_not_give_are_told() -> None:
    with pytest.raises(InputError, match=r"1\.5 GPUs for a task: expected a whole number, or a part of one"):
        RayEngine(FakeRay(2)).run(print, [""], print, 1.5)


def test_a_machine_with_another_version_does_no_task(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = iter(["1.2.3", "1.2.4"])
    monkeypatch.setattr("kb_index.shards.engines.package_version", lambda: next(versions))
    done: list[str] = []
    with pytest.raises(WorkerError, match=r"kbqa 1\.2\.4, and the build runs 1\.2\.3; install one version on all"):
        RayEngine(FakeRay(0)).run(done.append, ["a"], print)
    assert done == []


def test_an_error_of_a_task_is_raised_as_it_is() -> None:
    def fail(task: str) -> None:
        raise TripleFileError(task)

    with pytest.raises(TripleFileError, match="a\\.kb"):
        RayEngine(FakeRay(0)).run(fail, ["a.kb", "b.kb"], print)


def test_what_a_task_did_not_expect_is_raised_as_it_is() -> None:
    def fill(task: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left on device"):
        RayEngine(FakeRay(0)).run(fill, ["a"], print)


def test_the_local_engine_needs_no_cluster() -> None:
    done: list[int] = []
    with open_engine("local", "127.0.0.1:1") as engine:
        engine.run(print, [""], done.append)
    assert (done, engine.threads) == ([1], None)


def test_a_cluster_that_wants_a_token_is_told_with_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed(FakeRay):
        def is_initialized(self) -> bool:
            return False

        def init(self, *_: Any, **__: Any) -> None:
            raise ConnectionError("Failed to connect to Ray cluster at head")

        def shutdown(self) -> None: ...

    ray = Closed(0)
    monkeypatch.setattr(session, "import_module", lambda _: ray)
    told = r"Ray cluster 'head': cannot be used \(Failed to connect .* at head\); .*RAY_AUTH_MODE=token$"
    with pytest.raises(InputError, match=told), session.ray_session("head"):
        pass
