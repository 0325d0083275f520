import json
import os
import signal

import numpy as np
import pytest

from finetune.calibration import fit_calibration
from finetune.likelihood import Weighed, fit_likelihood_weight
from finetune.ranker import RankerConfig, train_ranker
from kb_index import KnowledgeBase, build_index
from kb_index.errors import IndexFolderError, InputError, QuestionFileError, StorageError, WorkerError
from kbqa_agent.parallel import over_batches
from kbqa_agent.qa_data import read_questions
from kbqa_agent.ranking import Calibration, load_ranker
from kbqa_agent.sample import sample_train, sample_triples
from kbqa_agent.types import QAExample


def test_probabilities_and_none_sum_to_one():
    shares = Calibration(temperature=2.0, none=1.0).probabilities(np.array([2.0, 0.0], np.float32))
    expected = np.exp([1.0, 0.0]) / (np.exp([1.0, 0.0]).sum() + np.exp(1.0))
    np.testing.assert_allclose(shares, expected, rtol=1e-6)


def test_calibration_recovers_the_temperature_and_the_share_without_an_answer():
    rng = np.random.default_rng(0)
    true = Calibration(temperature=2.0, none=1.5)
    scored = []
    for _ in range(1500):
        scores = rng.normal(0, 4, 6).astype(np.float32)
        shares = np.append(true.probabilities(scores), 0)
        shares[-1] = 1 - shares.sum()
        drawn = rng.choice(7, p=shares / shares.sum())
        scored.append((scores, np.arange(6) == drawn))
    fitted = fit_calibration(scored)
    assert fitted.temperature == pytest.approx(2.0, abs=0.25)
    assert fitted.none == pytest.approx(1.5, abs=0.3)


def test_a_likelihood_that_tells_right_from_wrong_gets_weight_and_a_random_one_none():
    rng = np.random.default_rng(0)
    even = np.full(4, 0.2)
    right = [np.arange(4) == rng.integers(4) for _ in range(200)]
    telling = [Weighed(even, np.where(r, -1.0, -2.0) + rng.normal(0, 0.3, 4), r) for r in right]
    noise = [Weighed(even, rng.normal(-2, 1, 4), r) for r in right]
    assert fit_likelihood_weight(telling) > 1.0
    assert fit_likelihood_weight(noise) < 0.2
    assert fit_likelihood_weight([]) == 0.0


@pytest.fixture(scope="module")
def kb(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranker")
    build_index([sample_triples()], folder / "index", progress=False)
    with KnowledgeBase.open(folder / "index") as opened:
        yield opened


def test_training_twice_gives_the_same_ranker_and_it_ranks_held_out_questions(kb, tmp_path):
    examples = read_questions(sample_train())[:200]
    config = RankerConfig(trees=30, folds=3)
    first, second = (train_ranker(kb, examples, tmp_path / name, config) for name in ("a", "b"))
    assert first.validation_mrr == second.validation_mrr > 0.7
    assert first.recall > 0.95
    for name in ("booster.txt", "patterns.safetensors", "patterns.json", "objects.safetensors", "asked.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert load_ranker(kb, tmp_path / "a").calibration == first.calibration
    _check_record_and_metrics(tmp_path / "a", first)


def _check_record_and_metrics(folder, result):
    record = json.loads((folder / "ranker.json").read_text(encoding="utf-8"))["record"]
    assert list(record) == ["command", "config", "questions_sha256", "result", "versions"]
    assert (record["config"]["seed"], record["config"]["trees"]) == (0, 30)
    assert len(record["questions_sha256"]) == 64
    assert list(record["versions"]) == ["kbqa", "lightgbm", "numpy"]
    stages = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["stage"] for row in stages] == ["retrieve", "hold out", "boost"]
    assert stages[1] == {
        "stage": "hold out",
        "n_held_out": 40,
        "validation_mrr": result.validation_mrr,
        "temperature": result.calibration.temperature,
        "none": result.calibration.none,
        "likelihood_weight": result.calibration.likelihood_weight,
        "seconds": stages[1]["seconds"],
    }
    assert 0 < stages[1]["seconds"] <= result.seconds
    assert stages[2] == {
        "stage": "boost",
        "n_questions": 200,
        "recall": result.recall,
        "seconds": pytest.approx(result.seconds, abs=0.1),
    }


def test_questions_about_something_else_are_refused_and_the_old_ranker_stays(kb, tmp_path):
    (tmp_path / "ranker").mkdir()
    (tmp_path / "ranker" / "ranker.json").write_text("old")
    strangers = [QAExample(str(i), f"{i}号星球的颜色？", ("不存在的颜色",)) for i in range(30)]
    with pytest.raises(
        QuestionFileError, match=r"30 questions, 0 of them with their answer in .*: too few to train on"
    ):
        train_ranker(kb, strangers, tmp_path / "ranker", RankerConfig(trees=2))
    assert (tmp_path / "ranker" / "ranker.json").read_text() == "old"


def test_a_folder_that_is_no_ranker_is_refused_before_any_training(kb, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(StorageError, match=r"without a ranker\.json; it is left as it is"):
        train_ranker(kb, [], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_settings_out_of_range_are_refused():
    with pytest.raises(InputError, match="folds=1"):
        RankerConfig(folds=1)
    with pytest.raises(InputError, match="held_out=1"):
        RankerConfig(held_out=1)
    with pytest.raises(InputError, match=r"new_attributes=1.5: expected a share from 0 to 1"):
        RankerConfig(new_attributes=1.5)
    with pytest.raises(InputError, match="processes=0"):
        RankerConfig(processes=0)


class Knows:
    """A generator that finds the right answers of its questions likely."""

    name = "knows"

    def __init__(self, examples):
        self.answers = {example.question: example.answers for example in examples}

    def score(self, prompt, answers):
        (right,) = [golds for question, golds in self.answers.items() if f"问：{question}\n" in prompt]
        return np.array([-1.0 if answer in right else -5.0 for answer in answers], np.float32)

    def generate(self, prompts, max_new_tokens=48):
        return ["" for _ in prompts]


def test_a_generator_that_knows_the_answers_gets_weight(kb, tmp_path):
    examples = read_questions(sample_train())[:120]
    result = train_ranker(kb, examples, tmp_path / "ranker", RankerConfig(trees=5, folds=2), Knows(examples))
    assert result.calibration.likelihood_weight > 0.5
    assert load_ranker(kb, tmp_path / "ranker").calibration == result.calibration


@pytest.mark.slow
def test_several_processes_make_the_same_ranker_as_one(kb, tmp_path):
    examples = read_questions(sample_train())[:340]
    for n in (1, 2):
        config = RankerConfig(trees=20, held_out_share=0.5, new_attributes=0.3, processes=n)
        train_ranker(kb, examples, tmp_path / str(n), config)
    for name in ("booster.txt", "patterns.safetensors", "presence.txt", "presence.json"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


def test_an_index_that_is_built_again_while_questions_are_asked_of_it_is_told(tmp_path):
    build_index([[("惠能", "朝代", "唐")]], tmp_path / "index", progress=False)
    with KnowledgeBase.open(tmp_path / "index") as opened:
        build_index([[("惠能", "民族", "汉")]], tmp_path / "index", progress=False)
        with pytest.raises(IndexFolderError, match="was changed while questions were asked of it"):
            list(over_batches(opened, _predicates, [("惠能",)], processes=2))
    with KnowledgeBase.open(tmp_path / "index") as opened:  # the processes are the same, and had the old one open
        assert list(over_batches(opened, _predicates, [("惠能",)], processes=2)) == ["民族"]


def test_a_process_that_is_ended_is_one_line(kb):
    with pytest.raises(WorkerError, match=r"one of 2 processes was ended.*; use fewer: --processes 1"):
        list(over_batches(kb, _ended, [(), ()], processes=2))


def _predicates(kb, name):
    return [t.predicate for t in kb.triples_of([e.id for e in kb.entities_named(name)])]


def _ended(kb):
    os.kill(os.getpid(), signal.SIGKILL)
    return []
