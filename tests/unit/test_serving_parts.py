"""The small parts of the server that need no server: queues, gates, settings, and what errors become."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb_index.errors import FeedbackError, IndexFolderError, InputError, ModelError, StorageError
from kbqa_agent.serving.batch_queue import BatchQueue
from kbqa_agent.serving.callers import Keys
from kbqa_agent.serving.failures import ServingError, error_body, failure_of
from kbqa_agent.serving.gate import Gate
from kbqa_agent.serving.settings import ServeSettings, is_loopback


def filled(items, **given):
    queue = BatchQueue(0.0, **given)
    for item in items:
        queue.put(item)
    return queue


def test_a_taker_gets_what_waits_up_to_its_share():
    assert [len(filled(range(n)).take()) for n in (1, 20, 30)] == [1, 20, 20]
    queue = filled(range(30), takers=2)
    assert [len(queue.take()) for _ in range(3)] == [15, 8, 4]
    assert filled("aab", kind=lambda letter: letter).take() == ["a", "a"]


def test_a_closed_queue_ends_who_waits_and_gives_back_what_is_left():
    queue = BatchQueue(0.0)
    taken = []
    thread = threading.Thread(target=lambda: taken.append(queue.take()))
    thread.start()
    queue.close()
    thread.join(60)
    assert taken == [[]]
    queue.put(1)
    assert (queue.left(), queue.left(), queue.take()) == ([1], [], [])


def test_a_gate_lets_so_many_through():
    gate = Gate("questions", 1, 2.0)
    with gate.inside():
        with pytest.raises(ServingError, match="1 questions are under way, at most 1") as told, gate.inside():
            pass
        assert (told.value.status, told.value.headers) == (503, {"Retry-After": "2"})
    with gate.inside():
        assert gate.n_inside == 1
    assert (gate.n_inside, gate.n_refused) == (0, 1)


def test_one_of_several_users_gets_half_of_a_gate():
    gate = Gate("questions", 3, is_shared=True)
    with gate.inside("li"), gate.inside("li"):
        with pytest.raises(ServingError, match="2 questions are under way, at most 2"), gate.inside("li"):
            pass
        with gate.inside("wang"):
            assert gate.n_inside == 3
    with gate.inside("li"), gate.inside("li"):
        assert gate.n_inside == 2


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InputError("a"), 400),
        (FeedbackError("a"), 400),
        (IndexFolderError("a"), 409),
        (StorageError("a"), 503),
        (ModelError("a"), 503),
        (ServingError(404, "a"), 404),
    ],
)
def test_each_error_has_a_status(error, status):
    assert failure_of(error).status == status


def test_an_error_is_one_line():
    assert error_body(400, "a\nb\r\n  c")["error"]["message"] == "a b c"


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"burst": 0}, "expected at least 1"),
        ({"request_seconds": 0}, "more than 0"),
        ({"port": 70_000}, "expected 0 to 65535"),
        ({"rate": -1}, "or 0 for any number"),
        ({"processes": -1}, "expected 0 or more"),
        ({"gather_seconds": -1}, "expected seconds, 0 or more"),
        ({"cors_origins": ("example.org",)}, "scheme and name alone"),
        ({"cors_origins": ("https://example.org/",)}, "scheme and name alone"),
        ({"trusted_proxies": ("*",)}, "expected an address"),
        ({"trusted_proxies": ("proxy",)}, "expected an address"),
        ({"host": "::"}, "--api-key-file"),
    ],
)
def test_settings_out_of_range_are_refused(given, text):
    with pytest.raises(InputError, match=text):
        ServeSettings(**given)


def test_addresses_of_this_machine():
    own = ["127.0.0.1", "127.8.9.1", "::1", "[::1]", "localhost"]
    others = ["0.0.0.0", "::", "192.0.2.1", "localhost.evil.example", "127.0.0.1.evil.example", "", "2130706433"]
    assert [host for host in own + others if is_loopback(host)] == own


KEY = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=16, max_size=40)


@given(st.dictionaries(KEY, st.just("x"), min_size=2, max_size=5), st.text(max_size=60))
def test_only_a_key_of_the_file_opens(keys, other):
    kept, *out = keys
    read = Keys({"li": (kept, False)})
    assert read.caller(kept).name == "li"
    for wrong in (*out, other, kept[:-1], kept + "x", kept.swapcase() + "1"):
        assert read.caller(wrong) is None or wrong == kept


def run_program(text):
    return subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=120, check=False)


def test_the_agent_loads_no_web_framework():
    program = "import sys, kbqa_agent.server as s, kbqa_agent.agent; s.ServeSettings; print('fastapi' in sys.modules)"
    assert run_program(program).stdout == "False\n"


def test_what_is_not_installed_is_told_with_its_command():
    program = "import sys; sys.modules['fastapi'] = None; from kbqa_agent.server import create_app"
    told = run_program(program).stderr.splitlines()[-1]
    assert "fastapi is not installed, and this needs it; run: pip install 'kbqa[serve]'" in told
