"""Agents in Ray's actors give the answers and the reports of this process, also when some of them die."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
from click.testing import CliRunner

pytest.importorskip("ray", reason="needs the extra [ray]")

from cli import main
from kb_index.errors import IndexFolderError, ModelError, WorkerError
from kb_index.shards.build import ShardedBuild
from kbqa_agent import AgentConfig, KBQAgent, ray_workers
from kbqa_agent.qa_data import read_questions
from kbqa_agent.ray_workers import RayWorkers, open_over_ray
from kbqa_agent.recipe import AgentRecipe
from kbqa_agent.sample import sample_test, sample_triples

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::ResourceWarning")]  # Ray leaves some behind
QUESTIONS = [e.question for e in read_questions(sample_test())]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ray") / "index"
    ShardedBuild(4, progress=False).run([sample_triples()], folder)
    return folder


@pytest.fixture(scope="module")
def recipe(index):
    return AgentRecipe(index, AgentConfig())


def plain(answers):
    return [replace(answer, timings={}) for answer in answers]


def ask(worker, what):
    """Call a function in the process of a worker."""
    import ray

    return ray.get(worker.actor.__ray_call__.remote(lambda _: what()))


def remove_a_node_with_a_worker(cluster, workers):
    """Take a machine away, though not the one that this process is connected to."""
    used = {ask(worker, lambda: __import__("ray").get_runtime_context().get_node_id()) for worker in workers}
    cluster.remove_node(next(node for node in cluster.worker_nodes if node.node_id in used), allow_graceful=False)


def test_answers_are_those_of_this_process_when_a_worker_dies(ray_cluster, recipe, caplog, monkeypatch):
    monkeypatch.setattr(ray_workers, "AT_ONCE", 10)  # so many batches are left that each worker gets one of them
    with recipe.open() as alone, open_over_ray(recipe, 2) as agent:
        assert agent.generator is None
        expected = plain(alone.ask_many(QUESTIONS, processes=1))
        answers = agent.ask_many(QUESTIONS)
        got = [next(answers)]
        os.kill(ask(agent.workers._workers[0], os.getpid), signal.SIGKILL)
        got += answers
    assert plain(got) == expected
    assert caplog.messages == [
        "a worker of Ray has died; another takes its place, and what it was asked is asked again"
    ]


def untimed(folder: Path) -> dict[str, object]:
    """All that does not depend on the clock."""
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    del report["seconds"], report["questions_per_second"], report["system"]["rows_sha256"]
    rows = [json.loads(line) for line in (folder / "per_question.jsonl").read_text(encoding="utf-8").split("\n")[:-1]]
    for row in rows:
        del row["timings_ms"]
    return {"report": report, "rows": rows, "predictions": (folder / "predictions.nlpcc").read_bytes()}


def evaluate(index, out, *more, questions=None):
    questions = str(questions or sample_test())
    words = ["eval", "--index", str(index), "--questions", questions, "--out", str(out), "--model", "none"]
    done = CliRunner().invoke(main, [*words, *more])
    assert done.exit_code == 0, done.output
    return untimed(out)


@pytest.mark.parametrize("kb", ["sample", "bench"])
def test_a_report_is_that_of_the_local_engine_though_a_machine_is_lost(
    ray_cluster, kb, request, add_ray_node, tmp_path, monkeypatch
):
    if kb == "bench":
        index, questions = request.getfixturevalue("bench")
        some = ["--limit", "300"]
    else:
        index, questions, some = request.getfixturevalue("index"), sample_test(), []
    answers_of, n_lost = RayWorkers.answers, 0

    def losing_a_machine(self, questions):
        nonlocal n_lost
        for number, answer in enumerate(answers_of(self, questions)):
            if number == 30:
                remove_a_node_with_a_worker(ray_cluster, self._workers)
                n_lost += 1
            yield answer

    monkeypatch.setattr(RayWorkers, "answers", losing_a_machine)
    with_ray = evaluate(index, tmp_path / "ray", *some, "--engine", "ray", "--workers", "3", questions=questions)
    add_ray_node(ray_cluster)
    assert n_lost == 1
    assert with_ray == evaluate(index, tmp_path / "local", *some, questions=questions)


def test_an_evaluation_goes_on_where_it_was_on_another_engine(ray_cluster, index, tmp_path, monkeypatch):
    def killed_after_some(self, questions):
        yield from islice(answers_of(self, questions), 25)
        raise KeyboardInterrupt

    answers_of = RayWorkers.answers
    monkeypatch.setattr(RayWorkers, "answers", killed_after_some)
    words = ["eval", "--index", str(index), "--questions", str(sample_test()), "--out", str(tmp_path / "out")]
    more = ["--model", "none", "--engine", "ray", "--workers", "1"]
    assert CliRunner().invoke(main, [*words, *more]).exit_code != 0
    (journal,) = (tmp_path / "out").iterdir()
    assert len(journal.read_text(encoding="utf-8").splitlines()) == 25
    asked = []
    ask_many = KBQAgent.ask_many
    monkeypatch.setattr(KBQAgent, "ask_many", lambda self, qs: asked.extend(qs) or ask_many(self, qs))
    evaluate(index, tmp_path / "out")
    assert asked == QUESTIONS[25:]


def test_errors_of_a_worker_arrive_as_themselves(ray_cluster, recipe):
    broken = replace(recipe, adapter="an-adapter")
    with pytest.raises(ModelError, match="adapter 'an-adapter' without a model"), open_over_ray(broken, 1):
        pass
    with recipe.open() as agent:
        changed = replace(agent.kb.manifest, created="2020-01-01T00:00:00+00:00")
    with RayWorkers(recipe, changed, 1) as workers, pytest.raises(IndexFolderError, match="was changed since"):
        workers.identity()


def test_what_ends_every_worker_is_not_tried_for_ever(ray_cluster, recipe, monkeypatch):
    class Dying:
        def __init__(self, recipe, manifest):
            self._opens = recipe.config.max_candidates > 1

        def open(self):
            return self._opens or os._exit(1)

        def answers(self, questions):
            return [q if q != "poison" else os._exit(1) for q in questions]

    monkeypatch.setattr(ray_workers, "AskedActor", Dying)
    questions = [str(number) for number in range(100)]
    with RayWorkers(recipe, None, 2) as workers:
        assert list(workers.answers(questions)) == questions
        answers = workers.answers([*questions[:40], "poison"])
        with pytest.raises(WorkerError, match="4 workers of Ray ended over the same questions"):
            list(answers)
    never_open = replace(recipe, config=AgentConfig(max_candidates=1))
    with RayWorkers(never_open, None, 1) as workers, pytest.raises(WorkerError, match="ended 4 times before it could"):
        workers.identity()


def test_four_workers_share_a_gpu(ray_cluster, recipe, add_ray_node):
    import ray

    node = add_ray_node(ray_cluster, num_cpus=4, num_gpus=1)
    try:
        with open_over_ray(recipe, gpus=0.25) as agent:
            assert len(agent.workers._workers) == 4
            answers = list(agent.ask_many(QUESTIONS[:60]))
            assert ray.available_resources().get("GPU", 0) < 1
        assert len(answers) == 60
    finally:
        ray_cluster.remove_node(node)


def test_options_that_need_ray_say_so(index, tmp_path):
    words = ["eval", "--index", str(index), "--questions", str(sample_test()), "--out", str(tmp_path / "out")]
    refused = CliRunner().invoke(main, [*words, "--workers", "2"])
    assert (refused.exit_code, "--workers is for --engine ray" in refused.output) == (2, True)
    refused = CliRunner().invoke(main, [*words, "--unanswerable", "--engine", "ray"])
    assert (refused.exit_code, "with --engine ray add --model none" in refused.output) == (2, True)
