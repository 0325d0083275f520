"""The commands of docs/serving.md, as they stand there, against a server."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="needs the extra [serve]")

from kb_index import build_index
from kbqa_agent import FeedbackStore, KBQAgent
from kbqa_agent.sample import sample_triples
from kbqa_agent.server import create_app

DOCS = Path(__file__).parents[2] / "docs" / "serving.md"
COMMANDS = re.findall(r"```sh\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.S)


@pytest.fixture(scope="module")
def url(listening, tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    build_index([sample_triples()], folder / "index", progress=False)
    with (
        FeedbackStore(folder / "feedback.sqlite") as store,
        KBQAgent.open(folder / "index", model="none", feedback=store) as agent,
        listening(create_app(agent)) as address,
    ):
        yield address


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
@pytest.mark.parametrize("command", COMMANDS)
def test_the_examples_do_what_they_say(url, command):
    program = command.replace("http://127.0.0.1:8000", url).replace("\n", "\necho\n")
    program = "set -e\nexport no_proxy=127.0.0.1\n" + program
    told = subprocess.run(["bash", "-c", program], capture_output=True, text=True, timeout=120, check=True).stdout
    lines = [line for line in told.splitlines() if line.startswith("{")]
    assert all("error" not in json.loads(line) for line in lines)
    if "/api/chat" in command:
        assert "event: answer" in told
    else:
        assert lines
    if "那日本呢" in command:
        assert json.loads(lines[1])["understood"] == "日本的首都是哪里？"
        assert len(json.loads(lines[2])["turns"]) == 2
    if "/api/feedback" in command:
        assert json.loads(lines[-1])["feedback"][-1]["rating"] == "good"


def test_there_are_examples():
    assert len(COMMANDS) == 5
