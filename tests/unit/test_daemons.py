"""Work in a thread that a program which ends does not wait for."""

import subprocess
import sys
import threading

import pytest

from kbqa_agent.daemons import DaemonExecutor


@pytest.fixture
def pool():
    made = DaemonExecutor("daemon")
    yield made
    made.shutdown()


def test_work_is_done_in_its_order_in_one_thread(pool):
    seen = []
    found = [pool.submit(lambda i=i: seen.append(i) or threading.current_thread().name) for i in range(20)]
    assert {future.result() for future in found} == {"daemon"}
    assert seen == list(range(20))


def test_what_is_raised_is_the_futures_and_the_thread_goes_on(pool):
    with pytest.raises(ZeroDivisionError):
        pool.submit(divmod, 1, 0).result()
    assert pool.submit(divmod, 7, 2).result() == (3, 1)


def test_what_is_cancelled_in_time_is_not_done(pool):
    go_on, seen = threading.Event(), []
    pool.submit(go_on.wait)
    assert pool.submit(seen.append, 1).cancel()
    go_on.set()
    assert pool.submit(len, seen).result() == 0


HANGS = """
import threading
from kbqa_agent.daemons import DaemonExecutor
pool, begun = DaemonExecutor("daemon"), threading.Event()
pool.submit(lambda: (begun.set(), threading.Event().wait()))
begun.wait()
print("the end")
"""


def test_a_program_ends_while_it_works():
    done = subprocess.run([sys.executable, "-c", HANGS], capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout, done.stderr) == ("the end\n", "")
