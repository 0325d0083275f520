"""The program itself: signals, a reload under load, and what is on the disk after `kill -9`."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="needs the extra [serve]")

import httpx

from kb_index import build_index
from kbqa_agent import FeedbackStore

pytestmark = pytest.mark.slow
LINES = "法国 ||| 首都 ||| {}\n德国 ||| 首都 ||| 柏林\n"
CAPITAL = {"question": "法国的首都是哪里？"}
PATIENCE = 180
"""Seconds that a busy machine may take to start the program."""


@pytest.fixture
def index(tmp_path):
    folder = tmp_path / "index"
    build(folder, "巴黎")
    return folder


def build(folder, capital):
    source = folder.with_name("triples.kb")
    source.write_text(LINES.format(capital), encoding="utf-8")
    build_index([source], folder, progress=False)


@pytest.fixture
def serve(index):
    """Starts the program on a free port, and gives the process and a client."""
    begun, clocks = [], []

    def start(*arguments):
        command = [sys.executable, "-m", "cli", "serve", "--index", str(index), "--model", "none", "--port", "0"]
        process = subprocess.Popen(
            [*command, "--ranker", "lexical", *arguments],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            stderr=subprocess.PIPE,
            text=True,
        )
        clocks.append(threading.Timer(PATIENCE, process.kill))
        clocks[-1].start()
        told = ""
        while not (found := re.search(r"http://\S+ answers", told)):
            line = process.stderr.readline()
            assert line, told
            told += line
        client = httpx.Client(base_url=found[0].split()[0], trust_env=False, timeout=60)
        begun.append((process, client))
        return process, client

    yield start
    for clock in clocks:
        clock.cancel()
    for process, client in begun:
        client.close()
        process.kill()
        process.communicate()


def test_a_signal_ends_it_in_order_and_another_reloads_it(serve, index):
    process, client = serve()
    assert client.post("/api/ask", json=CAPITAL).json()["answer"] == "巴黎"
    build(index, "里昂")
    assert client.post("/api/ask", json=CAPITAL).json()["answer"] == "巴黎"
    answers, is_done = [], threading.Event()

    def go_on():
        while not is_done.is_set():
            answers.append(client.post("/api/ask", json=CAPITAL).json()["answer"])

    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(go_on) for _ in range(2)]
        process.send_signal(signal.SIGHUP)
        end = time.monotonic() + 60
        while "里昂" not in answers and time.monotonic() < end:
            time.sleep(0.05)
        is_done.set()
        for task in running:
            task.result()
    assert set(answers) == {"巴黎", "里昂"}
    process.terminate()
    assert process.wait(60) == 0
    told = process.stderr.read()
    assert "Traceback" not in told
    assert "leaked" not in told  # nothing of the index is left open


def test_answers_are_the_same_from_other_processes_and_without_those_that_end(serve):
    process, client = serve("--processes", "2")
    answer = client.post("/api/ask", json=CAPITAL).json()
    number = client.post("/api/dialogues").json()["id"]
    client.post("/api/ask", json={**CAPITAL, "dialogue": number})
    follow_up = client.post("/api/ask", json={"question": "那德国呢？", "dialogue": number}).json()
    assert (follow_up["answer"], follow_up["understood"]) == ("柏林", "德国的首都是哪里？")
    client.post("/api/feedback", json={"answer_id": answer["answer_id"], "rating": "bad", "correction": "里昂"})
    judged = client.post("/api/ask", json=CAPITAL).json()
    assert "里昂" in [c["answer"] for c in judged["candidates"]]  # what people said counts there, too
    chat = client.post("/api/chat", json=CAPITAL).text
    assert chat.startswith("event: shortlist")
    threads = Path(f"/proc/{process.pid}/task").glob("*/children")
    children = [child for thread in threads for child in thread.read_text().split()]
    assert len(children) == 2
    for child in children:
        os.kill(int(child), signal.SIGKILL)
        again = client.post("/api/ask", json=CAPITAL).json()
        assert again["candidates"] == judged["candidates"]


def test_a_reload_that_is_wanted_during_another_follows_it(serve, index):
    process, client = serve("--processes", "0")
    for capital in ("里昂", "南特", "图尔"):
        build(index, capital)
        process.send_signal(signal.SIGHUP)
    end = time.monotonic() + 60
    while client.post("/api/ask", json=CAPITAL).json()["answer"] != "图尔":
        assert time.monotonic() < end
        time.sleep(0.05)
    process.terminate()
    assert process.wait(60) == 0
    told = process.stderr.read().splitlines()
    assert [line for line in told if not line.startswith("reloaded; the index is that of 20")] == []
    assert 1 <= len(told) <= 3


def test_a_signal_to_reload_does_not_end_what_starts(serve, index):
    module = "import os, signal, cli.serving as s\n"
    program = module + (
        "def hang_up(*a, **k):\n    os.kill(os.getpid(), signal.SIGHUP); raise SystemExit(7)\n"
        "s.recipe_of = hang_up\n"
        f"s.serve(['--index', {str(index)!r}, '--model', 'none', '--port', '0'])\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    assert (
        subprocess.run([sys.executable, "-c", program], env=environment, check=False, timeout=PATIENCE).returncode == 7
    )


def test_a_damaged_index_leaves_the_old_one_in_place(serve, index):
    _, client = serve()
    (index / "manifest.json").write_text("{}", encoding="utf-8")
    refused = client.post("/api/admin/reload")
    assert (refused.status_code, refused.json()["error"]["type"]) == (409, "conflict")
    assert client.post("/api/ask", json=CAPITAL).json()["answer"] == "巴黎"


def test_feedback_that_was_acknowledged_outlives_a_kill(serve, index):
    process, client = serve("--store", "none")
    answer_id = client.post("/api/ask", json=CAPITAL).json()["answer_id"]
    acknowledged = []

    def give(number):
        body = {"answer_id": answer_id, "rating": "good", "comment": str(number)}
        try:
            if client.post("/api/feedback", json=body).status_code == 200:
                acknowledged.append(str(number))
        except httpx.TransportError:
            pass  # it was killed before it could say so

    with ThreadPoolExecutor(8) as pool:
        for number in range(400):
            pool.submit(give, number)
        end = time.monotonic() + 60
        while len(acknowledged) < 100 and time.monotonic() < end:
            time.sleep(0.002)
        process.kill()
    assert process.wait() == -signal.SIGKILL
    assert len(acknowledged) >= 100
    with FeedbackStore(index.with_name("index.feedback.sqlite"), create=False) as store:
        kept = {record.feedback.comment for record in store.records()}
    assert set(acknowledged) <= kept


def test_a_client_that_goes_away_leaves_nothing_waiting(serve):
    _, client = serve()
    for _ in range(20):
        with pytest.raises(httpx.TimeoutException):
            client.post("/api/ask", json=CAPITAL, timeout=0.0001)
    end = time.monotonic() + 60
    while 'kbqa_under_way{what="questions"} 0.0' not in client.get("/metrics").text:
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--host", "0.0.0.0"), "others can reach it"),
        (("--api-key-file", "nothing"), "cannot be read"),
        (("--system", "a"), "expected NAME=MODEL"),
        (("--store", "nowhere/serve.sqlite"), "no folder"),
        (("--host", "192.0.2.7", "--no-auth"), "cannot listen there"),
    ],
)
def test_what_cannot_be_served_is_told_in_one_line(index, arguments, text):
    command = [sys.executable, "-m", "cli", "serve", "--index", str(index), "--model", "none", *arguments]
    told = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert told.returncode == 1
    *_, line = told.stderr.splitlines()
    assert text in line
    assert len(told.stderr.splitlines()) == 1 + (arguments[0] == "--system")  # which are loaded, as a line says


@pytest.mark.parametrize("command", ["serve", "mcp"])
def test_a_start_without_an_index_leaves_no_file(tmp_path, command):
    arguments = [sys.executable, "-m", "cli", command, "--index", str(tmp_path / "nothere"), "--model", "none"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    told = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (told.returncode, "no such folder" in told.stderr) == (1, True)
    assert list(tmp_path.iterdir()) == []


def test_what_runs_is_answered_before_the_server_ends(serve, server):
    begun = threading.Event()

    def reply(route, body):
        begun.set()
        time.sleep(2)
        return 200, {"choices": [{"message": {"content": "巴黎"}}]}

    server.reply = reply
    process, client = serve("--model", f"openai:{server.url}#slow", "--closed-book")
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(client.post, "/api/ask", json=CAPITAL)
        assert begun.wait(60)
        assert client.post("/api/ask", json={**CAPITAL, "system": "ranker"}).json()["answer"] == "巴黎"
        process.terminate()
        told = asked.result()
    assert (told.json()["answer"], told.json()["supported"]) == ("巴黎", False)
    assert process.wait(60) == 0
