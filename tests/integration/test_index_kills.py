"""A build, update or delete that is killed at any moment leaves the old index or the new one, whole.

`KBQA_KILLS=120 pytest tests/integration/test_index_kills.py` kills as often as that.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from kb_index import KnowledgeBase

N_KILLS = int(os.environ.get("KBQA_KILLS", "12"))
KINDS = ("build", "update", "delete")
SUBJECTS = [f"甲{i:03}" for i in range(1000)]
PREDICATES = ("作者", "朝代", "出版社", "页数")

Row = tuple[str, str, str]

# A text, because a process of the server cannot import a test module.
JOB = """
import threading
import tqdm
import kb_index.atomic
from kb_index.build import build_index
from kb_index.update import delete_triples, update_index
tqdm.tqdm.set_lock(threading.RLock())  # its own holds a semaphore, which a killed process leaves behind
if not exchange:
    kb_index.atomic.exchange = lambda one, other: False
if kind == "build":
    build_index([rows], index, progress=False)
elif kind == "update":
    update_index([rows], index, progress=False)
else:
    delete_triples(index, sources=[rows], progress=False)
"""
PRELOAD = [
    "kb_index.build",
    "kb_index.update",
    "duckdb",
    "faiss",
    "marisa_trie",
    "model2vec",
    "tokenizers",
    "pandas",
    "tqdm",
]


@pytest.fixture(scope="module")
def processes() -> multiprocessing.context.ForkServerContext:
    """A server that has imported everything and forks a process for each job."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    return context


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n_kills", "exchange"), [(N_KILLS - N_KILLS // 4, True), (N_KILLS // 4, False)], ids=["exchange", "two renames"]
)
def test_a_kill_leaves_the_old_index_or_the_new_one(processes, tmp_path, n_kills, exchange):
    index, chance = tmp_path / "kb", random.Random(n_kills)

    def start(kind: str, rows: Sequence[Row]) -> BaseProcess:
        given = {"kind": kind, "rows": rows, "index": index, "exchange": exchange}
        job = processes.Process(target=exec, args=(JOB, given))
        job.start()
        return job

    def finish(kind: str, rows: Sequence[Row]) -> float:
        started = time.perf_counter()
        job = start(kind, rows)
        job.join()
        assert job.exitcode == 0
        assert [path.name for path in tmp_path.iterdir()] == ["kb"]
        return time.perf_counter() - started

    facts = draw_facts(chance, 3000)
    finish("build", sorted(facts))
    duration = dict.fromkeys(KINDS, 1.0)
    outcomes = {"old": 0, "new": 0, "ended": 0}
    for i in range(n_kills):
        kind = KINDS[i % len(KINDS)]
        # The same kind of job, not killed, shows how long one takes here and now, and cleans up.
        rows, after = draw_job(kind, facts, chance)
        duration[kind] = finish(kind, rows)
        facts = after
        assert answers(index) == expected(facts)
        rows, after = draw_job(kind, facts, chance)
        job = start(kind, rows)
        job.join(chance.uniform(0, duration[kind]))
        job.kill()
        job.join()
        assert job.exitcode in (-signal.SIGKILL, 0)
        found = answers(index)
        assert found in (expected(facts), expected(after))
        outcomes["ended" if job.exitcode == 0 else "new" if found == expected(after) else "old"] += 1
        if found == expected(after):
            facts = after
    finish("update", [("末", "作者", "末")])
    logging.getLogger(__name__).info("%d kills: %s", n_kills, outcomes)


def draw_facts(chance: random.Random, n: int) -> set[Row]:
    return {(chance.choice(SUBJECTS), chance.choice(PREDICATES), f"值{chance.randrange(500)}") for _ in range(n)}


def draw_job(kind: str, facts: set[Row], chance: random.Random) -> tuple[list[Row], set[Row]]:
    """Draw the rows of a job, and the triples that there are after it."""
    if kind == "build":
        rows = draw_facts(chance, 3000)
        return sorted(rows), rows
    if kind == "update":
        rows = draw_facts(chance, 40)
        return sorted(rows), facts | rows
    rows = set(chance.sample(sorted(facts), 40))
    return sorted(rows), facts - rows


def expected(facts: set[Row]) -> tuple[list[Row], list[str], list[str]]:
    subjects = sorted({subject for subject, _, _ in facts})
    return sorted(facts), subjects, subjects[:1]


def answers(index: Path) -> tuple[list[Row], list[str], list[str]]:
    """Give all triples, the names found in questions about all, and the name that vectors find for the first one."""
    questions = [f"{'和'.join(SUBJECTS[i : i + 8])}的作者是谁？" for i in range(0, len(SUBJECTS), 8)]
    with KnowledgeBase.open(index) as kb:
        ids = [i for text in questions for match in kb.mentions(text) for i in match.entity_ids]
        names = [entity.name for entity in kb.entities(ids)]
        triples = [(t.subject, t.predicate, t.object) for t in kb.triples_of(ids)]
        similar = kb.similar_entities([min(names)], 1)[0]
        return sorted(triples), sorted(names), [match.entity.name for match in similar]


STEPS = """
import fcntl, itertools, os, signal, sys
from pathlib import Path
import kb_index.atomic
from kb_index.swap import find_index, replaced_folder

def replace(content):
    with replaced_folder(out) as folder:
        (folder / "manifest.json").write_text(content)

def kill_before(step):
    calls = itertools.count()
    def watched(function):
        def call(*args, **kwargs):
            if next(calls) == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **kwargs)
        return call
    for name in ("mkdir", "rename", "replace", "unlink", "rmdir", "fsync"):
        setattr(os, name, watched(getattr(os, name)))
    fcntl.flock = watched(fcntl.flock)
    kb_index.atomic.exchange = watched(kb_index.atomic.exchange)

out = Path("kb").resolve()
if sys.argv[1] == "two renames":
    kb_index.atomic.exchange = lambda one, other: False
replace("old")
for step in range(1000):
    if os.fork() == 0:
        kill_before(step)
        replace("new")
        os._exit(0)
    ended = os.wait()[1] == 0
    left = sorted(path.name.split("-")[0] for path in out.parent.iterdir())
    print((find_index(out) / "manifest.json").read_text(), *left)
    replace("old")
    assert [path.name for path in out.parent.iterdir()] == ["kb"]
    if ended:
        break
"""


@pytest.mark.parametrize("how", ["exchange", "two renames"])
def test_a_kill_before_any_step_of_a_replacement(tmp_path, how):
    program = [sys.executable, "-c", STEPS, how]
    environment = {"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": ""}
    run = subprocess.run(
        program, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (run.stderr, run.returncode) == ("", 0)
    seen = run.stdout.splitlines()
    contents = [line.split()[0] for line in seen]
    assert contents == sorted(contents, reverse=True)  # the old index, and from some step on the new one
    assert seen[0] == "old kb"
    assert seen[-1] == "new kb"
    assert any(".kb.building" in line for line in seen)
    assert any(line.startswith("old .kb.building .kb.lock .kb.old") for line in seen) == (how == "two renames")
