"""What a replica says of its peers, with stand-ins for Ray Serve."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

pytest.importorskip("ray.serve", reason="needs the extra [ray]")
pytest.importorskip("fastapi", reason="needs the extra [serve]")

from ray import exceptions as ray_exceptions
from ray.serve import exceptions as serve_exceptions

from kb_index.errors import IndexFolderError
from kbqa_agent.serving import ray_serve
from kbqa_agent.serving.failures import ServingError
from kbqa_agent.serving.ray_replica import Replica, _Peers, raised_by


def peers_that(tell):
    async def results_async(**_):
        if isinstance(tell, Exception):
            raise tell
        return tell

    peers = _Peers()
    peers._handle = SimpleNamespace(broadcast=lambda *_: SimpleNamespace(results_async=results_async))
    return peers


def test_dead_replicas_are_passed_over_and_all_else_is_told():
    assert raised_by(True) is None
    assert raised_by(ray_exceptions.ActorDiedError()) is None
    error = ValueError("odd")
    assert raised_by(error) is error
    ours = IndexFolderError("gone")
    assert raised_by(SimpleNamespace(cause=ours)) is None
    assert raised_by(ray_exceptions.RayTaskError("reload", "trace", ours)) is ours


def test_a_reload_counts_only_those_that_did_it():
    dead = ray_exceptions.ActorDiedError()
    assert asyncio.run(peers_that([True, False, dead]).reload())
    assert not asyncio.run(peers_that([False, dead]).reload())
    with pytest.raises(ValueError, match="odd"):
        asyncio.run(peers_that([True, ValueError("odd")]).reload())


@pytest.mark.parametrize("error", [TimeoutError(), serve_exceptions.DeploymentUnavailableError(None)])
def test_a_replica_that_hangs_is_an_error_of_ours(error):
    with pytest.raises(ServingError, match="not all servers of this address answer") as raised:
        asyncio.run(peers_that(error).given_answer("1", ""))
    assert raised.value.status == 503


def test_a_reload_that_fails_does_not_end_the_service(caplog):
    def results(**_):
        raise TimeoutError

    ray_serve._reload(SimpleNamespace(broadcast=lambda _: SimpleNamespace(results=results)), [].append)
    assert caplog.messages == ["reload failed; replicas may have different indexes open: reload again"]


def test_a_reload_is_told_with_what_failed(caplog):
    told, given = [], [True, ray_exceptions.ActorDiedError()]
    handle = SimpleNamespace(broadcast=lambda _: SimpleNamespace(results=lambda **_: given))
    ray_serve._reload(handle, told.append)
    assert (told, caplog.messages) == (["reloaded; all replicas have the index that the folder holds now"], [])
    given.append(IndexFolderError("half copied"))
    ray_serve._reload(handle, told.append)
    assert len(told) == 1
    assert caplog.messages == ["reload of replica 3: half copied; the index that was open goes on serving"]


def test_a_new_replica_tries_again_what_failed(monkeypatch, caplog):
    tried = []

    async def reload():
        tried.append(1)
        if len(tried) == 1:
            raise IndexFolderError("half copied")
        kb.manifest = "new"

    kb = SimpleNamespace(path=None, manifest="old")
    replica = Replica.__new__(Replica)
    source = SimpleNamespace(now=SimpleNamespace(base=SimpleNamespace(kb=kb)))
    replica._service, replica._is_new = SimpleNamespace(is_ready=True, source=source, reload=reload), True
    replica._open = SimpleNamespace(close=lambda: None)
    monkeypatch.setattr("kbqa_agent.serving.ray_replica.read_manifest", lambda _: "new")
    for _ in range(4):
        asyncio.run(replica.check_health())
    assert len(tried) == 2
    assert not replica._is_new
    assert caplog.messages == ["reload failed; the index that was open goes on serving until the next try"]
