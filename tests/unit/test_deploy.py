"""The files that run the server elsewhere say what the project has: paths, options, packages."""

from __future__ import annotations

import json
import re
import shlex
from fnmatch import fnmatch
from pathlib import Path

import pytest

from cli.serving import serve

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
IMAGE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
UNIT = (DEPLOY / "kbqa.service").read_text(encoding="utf-8")


def parsed(arguments):
    """The options of a `kbqa serve`, without the program's name and the command."""
    return serve.make_context("serve", list(arguments), resilient_parsing=True).params


def test_what_the_image_is_built_from_is_there_and_let_through():
    copied = [word for line in re.findall(r"^COPY (?!--from)(.+)", IMAGE, re.M) for word in line.split()[:-1]]
    let = [line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line.startswith("!")]
    assert {"constraints.txt", "pyproject.toml", "README.md", "kbqa_agent"} <= set(copied)
    assert all((ROOT / path).exists() for path in copied)
    assert [path for path in copied if not any(fnmatch(path, pattern) for pattern in let)] == []


def test_the_image_serves_others_with_keys_and_not_as_root():
    command = json.loads(re.search(r"^CMD (.+)", IMAGE, re.M)[1])
    assert command[0] == "serve"
    options = parsed(command[1:])
    assert (options["host"], options["port"], options["no_auth"]) == ("0.0.0.0", 8000, False)
    assert options["api_key_file"] == Path("/run/secrets/kbqa-keys")
    assert re.search(r"^USER (.+)", IMAGE, re.M)[1] == "10001:10001"
    assert "/healthz" in re.search(r"^HEALTHCHECK .+\n.+", IMAGE, re.M)[0]


def test_the_healthcheck_is_a_program():
    command = json.loads(re.search(r"^\s+CMD (\[.+)", IMAGE, re.M)[1])
    compile(command[2], "healthcheck", "exec")


def test_the_unit_serves_this_machine_with_keys():
    [line] = re.findall(r"^ExecStart=(.+)", UNIT, re.M)
    program, command, *arguments = shlex.split(line)
    assert (Path(program).name, command) == ("kbqa", "serve")
    assert (parsed(arguments)["host"], parsed(arguments)["port"]) == ("127.0.0.1", 8000)
    environment = dict(word.split("=", 1) for word in re.search(r"^Environment=(.+)", UNIT, re.M)[1].split())
    known = {option.envvar for option in serve.params} | {"KBQA_CACHE"}
    assert set(environment) <= known
    assert environment["KBQA_API_KEY_FILE"] == "%d/keys"


def test_the_compose_file_gives_the_keys_that_the_image_reads():
    yaml = pytest.importorskip("yaml", reason="needs the package pyyaml")
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    service = compose["services"]["kbqa"]
    assert service["secrets"] == ["kbqa-keys"] == list(compose["secrets"])
    assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).resolve() == DEPLOY / "Dockerfile"
    assert service["ports"] == ["127.0.0.1:${KBQA_PORT:-8000}:8000"]
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
