"""What Ray says when there is no cluster becomes one line that says what to do."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from cli.commands import main
from kb_index.errors import InputError
from kb_index.ray_session import check_gpus, ray_session

EXPECTED = "expected the HOST:PORT of a running one, or no --ray-address for a new one here"


@pytest.fixture
def fake_ray(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A Ray that finds no cluster; `ended` counts how often it was shut down."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)

    def init(address: str | None, **_: Any) -> None:
        fake.begun.append(address)
        raise fake.error

    fake = SimpleNamespace(
        begun=[],
        ended=0,
        error=ValueError("no error was chosen"),
        init=init,
        is_initialized=lambda: False,
        exceptions=SimpleNamespace(RayError=ZeroDivisionError),
    )
    fake.shutdown = lambda: setattr(fake, "ended", fake.ended + 1)
    monkeypatch.setitem(sys.modules, "ray", fake)
    return fake


@pytest.mark.parametrize(
    ("address", "error", "said"),
    [
        ("foo", ValueError("Malformed address: foo\nMore of it."), "'foo': cannot be used (Malformed address: foo)"),
        (
            "auto",
            ConnectionError("Could not find any running Ray instance. Please specify the one to connect to.\n"),
            "'auto': cannot be used (Could not find any running Ray instance)",
        ),
        ("auto", RuntimeError("Version mismatch: 2.9\nPython"), "'auto': cannot be used (Version mismatch: 2.9)"),
        ("auto", ZeroDivisionError("no token"), "'auto': cannot be used (no token)"),
    ],
)
def test_a_cluster_that_is_not_there_is_told_in_one_line(
    fake_ray: Any, address: str, error: Exception, said: str
) -> None:
    fake_ray.error = error
    with pytest.raises(InputError) as raised, ray_session(address):
        pass
    let_in = "one that asks for a token wants its ~/.ray/auth_token here, and RAY_AUTH_MODE=token"
    assert str(raised.value) == f"Ray cluster {said}; {EXPECTED}; {let_in}"
    assert fake_ray.ended == 1


def test_a_cluster_that_cannot_be_started_here_is_told(fake_ray: Any) -> None:
    fake_ray.error = OSError("No space left on device")
    with pytest.raises(InputError) as raised, ray_session():
        pass
    assert str(raised.value) == f"Ray: cannot be started here (No space left on device); {EXPECTED}"


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.0.0.1:99999", "no.such.host.invalid:6379"])
def test_an_address_that_nobody_listens_at_is_not_given_to_ray(fake_ray: Any, address: str) -> None:
    with (
        pytest.raises(InputError, match=rf"^Ray cluster '{address}': not reached \(.+\); expected"),
        ray_session(address),
    ):
        pass
    assert fake_ray.begun == []


@pytest.mark.parametrize(
    ("files", "options", "said"),
    [
        (["none.kb"], [], "none.kb: no such file"),
        (["kb"], ["--shards", "10000"], "10000 shards: expected 1 to 9999"),
        (["kb"], ["--out", "thesis"], "there already, and no index"),
        (["kb"], ["--out", "kb/index"], "cannot be written"),
        (["kb"], [], "Ray cluster 'foo': cannot be used"),
    ],
)
def test_ray_is_started_when_all_else_is_in_order(
    fake_ray: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: list[str], options: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("kb").write_text("坛经 ||| 作者 ||| 惠能\n", encoding="utf-8")
    Path("thesis").mkdir()
    Path("thesis/thesis.tex").touch()
    words = ["index", *files, "--out", "index", "--shards", "2", "--engine", "ray", "--ray-address", "foo", *options]
    ended = CliRunner().invoke(main, words)
    assert (ended.exit_code, ended.output.count("\n")) == (1, 1)
    assert said in ended.output
    assert fake_ray.begun == (["foo"] if "foo" in said else [])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kb", "thesis"]


@pytest.mark.parametrize("words", [["eval", "--questions", "asked", "--out", "report"], ["serve"]])
def test_ray_is_not_started_for_an_index_that_is_not_there(
    fake_ray: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = "<question id=1>\t谁写了坛经？\n<triple id=1>\t坛经 ||| 作者 ||| 惠能\n<answer id=1>\t惠能\n=====\n"
    Path("asked").write_text(asked, encoding="utf-8")
    ended = CliRunner().invoke(main, [*words, "--index", "none", "--model", "none", "--engine", "ray"])
    assert (ended.exit_code, fake_ray.begun) == (1, [])
    assert ended.output == "kbqa: index 'none': no such folder; make one: kbqa index FILE --out 'none'\n"


@pytest.mark.parametrize("gpus", [0.0, 0.5, 1.0, 2.0])
def test_gpus_are_a_whole_number_or_a_part_of_one(gpus: float) -> None:
    check_gpus(gpus, "a worker")
    with pytest.raises(InputError, match=r"^1\.5 GPUs for a worker: expected a whole number, or a part of one: 0\.5$"):
        check_gpus(1.5, "a worker")
