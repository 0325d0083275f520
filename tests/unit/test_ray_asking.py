"""Shards that do not answer are waited for together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kb_index.errors import IndexFolderError
from kb_index.manifest import Counts, EncoderInfo, Manifest
from kb_index.shards import ray_asking
from kb_index.shards.ray_asking import OPENING_SECONDS, RayShards

MANIFEST = Manifest(3, "", "", Counts(1, 1, 0, 0, 1, 1, 1), (), EncoderInfo("", 1), {}, {}, {})


class _Late:
    """A Ray whose first two shards never answer."""

    def __init__(self) -> None:
        self.now, self.killed = 0.0, 0
        errors = ("GetTimeoutError", "RayActorError", "NodeDiedError", "ObjectLostError")
        self.exceptions = SimpleNamespace(**{name: type(name, (Exception,), {}) for name in errors})

    def remote(self, actor: Any) -> Any:
        asked = SimpleNamespace(remote=lambda *_: "answer")
        made = SimpleNamespace(remote=lambda index, name, sha256: SimpleNamespace(look_up=asked, name=name))
        self.numbers = iter(range(100))
        return SimpleNamespace(options=lambda **_: made)

    def get(self, answer: str, timeout: float) -> Any:
        if next(self.numbers) < 2:
            self.now += timeout
            raise self.exceptions.GetTimeoutError
        return [answer]

    def kill(self, actor: Any) -> None:
        self.killed += 1


def test_shards_that_do_not_answer_are_waited_for_together(monkeypatch: pytest.MonkeyPatch) -> None:
    ray, manifest = _Late(), replace(MANIFEST, shards={"0000": "", "0001": "", "0002": ""})
    monkeypatch.setattr(ray_asking.time, "monotonic", lambda: ray.now)
    shards = RayShards(ray, Path("index"), manifest, partial=True)
    assert shards.missing == ("0000", "0001")
    assert ray.now == OPENING_SECONDS
    shards.close()
    assert ray.killed == 3
    with pytest.raises(IndexFolderError, match="shard 0000 cannot be asked"):
        RayShards(ray, Path("index"), manifest, partial=False)
    assert ray.killed == 6
