"""The reference task with no training on it: the embedded default ranker over a million triples."""

import os
from pathlib import Path

import pytest

from eval.runner import EvalOptions, evaluate
from kb_index import build_index
from kbqa_agent import KBQAgent
from kbqa_agent.qa_data import read_questions

DATA = Path(os.environ.get("KBQA_DATA", Path(__file__).parents[2] / ".." / "shared" / "data")) / "nlpcc2016"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no data at {DATA}: set KBQA_DATA")


@pytest.mark.slow
def test_the_default_ranker_answers_questions_that_nobody_trained_it_on(tmp_path):
    build_index([DATA / "bench.kbqa.kb"], tmp_path / "index", progress=False)
    questions = read_questions(DATA / "nlpcc-iccpol-2016.kbqa.testing-data")
    with KBQAgent.open(tmp_path / "index", model="none") as agent:
        report = evaluate(agent, questions, tmp_path / "report", EvalOptions(limit=600, seed=0)).report
    assert report.n_questions == 600
    assert report.metrics["mrr"] > 0.82
    assert report.metrics["f1"] > 0.76
    assert report.ceiling is not None
    assert report.ceiling["mrr"] > report.metrics["mrr"]
