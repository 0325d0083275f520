"""No test question, and no gold attribute of one, reaches any step of a training."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from finetune import ranker
from finetune.ranker import RankerConfig, _training_rows
from finetune.record import sha256_of
from finetune.retrieved import retrieve_examples
from finetune.unseeing import stretches
from kb_index import KnowledgeBase, build_index
from kb_index.normalize import normalize_attribute
from kbqa_agent.qa_data import comparable, read_questions, write_nlpcc
from kbqa_agent.ranking import DEFAULT_RANKER, RANKER_FILE, TrainedRanker
from kbqa_agent.sample import sample_test, sample_train, sample_triples
from kbqa_agent.together import NOTHING_TOGETHER
from kbqa_agent.types import QAExample
from kbqa_agent.wordings import Wordings

ROOT = Path(__file__).parents[2]
NLPCC = Path(os.environ.get("KBQA_DATA", ROOT / ".." / "shared" / "data")) / "nlpcc2016"
needs_nlpcc = pytest.mark.skipif(not NLPCC.is_dir(), reason=f"no data at {NLPCC}: set KBQA_DATA")

WATCHED_TRAINING = """
import json, sys

opened = set()
sys.addaudithook(lambda event, args: opened.add(str(args[0])) if event == "open" else None)

from pathlib import Path
from finetune.data import RowOptions
from finetune.questions import training_rows
from finetune.ranker import RankerConfig, train_ranker
from kb_index import KnowledgeBase
from kbqa_agent.qa_data import read_questions

index, questions, out = map(Path, sys.argv[1:])
config = RankerConfig(trees=5, folds=2, held_out_share=0.5)
with KnowledgeBase.open(index) as kb:
    train_ranker(kb, read_questions(questions), out / "ranker", config)
training_rows(questions, out / "adapter" / "rows.json", index, RowOptions())
print(json.dumps(sorted(opened)))
"""
"""All that a training learns from: a ranker with its model of silence, and the rows of a generator's fine-tuning. What
libraries open without Python is not seen, so that what comes out is compared too."""

LEARNT = (
    *("ranker/booster.txt", "ranker/patterns.safetensors", "ranker/patterns.json", "ranker/objects.safetensors"),
    *("ranker/asked.json", "ranker/presence.txt", "ranker/presence.json", "adapter/rows.json"),
)


@pytest.fixture(scope="module")
def kb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KnowledgeBase]:
    folder = tmp_path_factory.mktemp("leakage")
    build_index([sample_triples()], folder / "index", progress=False)
    with KnowledgeBase.open(folder / "index") as opened:
        yield opened


@pytest.mark.slow
def test_a_training_does_not_open_the_test_questions_and_learns_the_same_without_them(kb, tmp_path) -> None:
    tested = tmp_path / "data" / "testing.nlpcc"
    write_nlpcc_in(tmp_path / "data" / "training.nlpcc", read_questions(sample_train())[:340])
    write_nlpcc_in(tested, read_questions(sample_test()))
    opened = train_watched(kb.path, tmp_path / "data" / "training.nlpcc", tmp_path / "beside")
    assert str(tmp_path / "data" / "training.nlpcc") in opened
    assert not {path for path in opened if path.endswith((tested.name, sample_test().name))}
    tested.unlink()
    train_watched(kb.path, tmp_path / "data" / "training.nlpcc", tmp_path / "alone")
    for name in LEARNT:
        assert (tmp_path / "beside" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes(), name


def write_nlpcc_in(path: Path, examples: Iterable[QAExample]) -> None:
    path.parent.mkdir(exist_ok=True)
    write_nlpcc(examples, path)


def train_watched(index: Path, questions: Path, out: Path) -> set[str]:
    """Train in a process of its own, and tell the files that it opened."""
    command = [sys.executable, "-c", WATCHED_TRAINING, index, questions, out]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


CONFIG = RankerConfig(folds=4, negatives=100_000, trees=10)


def with_another_gold(kb: KnowledgeBase, example: QAExample) -> QAExample:
    """The question with another attribute of its entity as the gold one."""
    assert example.triple is not None
    subject, asked, _ = example.triple
    of_subject = kb.triples_of([e.id for e in kb.entities_named(subject)])
    taken = {normalize_attribute(asked), *map(normalize_attribute, ("别名", "名称"))}
    other = next(
        t
        for t in of_subject
        if t.subject == subject and normalize_attribute(t.predicate) not in taken and t.object not in example.answers
    )
    return replace(example, answers=(other.object,), triple=(subject, other.predicate, other.object))


def _folds(examples: Sequence[QAExample]) -> NDArray[np.int64]:
    return stretches(len(examples), CONFIG.folds)


def learnt(kb: KnowledgeBase, examples: Sequence[QAExample]) -> tuple[list[list[bytes]], list[Wordings]]:
    """The features of all candidates of each question, in an order that the labels do not change, and the wordings that
    it is asked with where it is held out."""
    rows, shown_with = _training_rows(kb, retrieve_examples(kb, examples), CONFIG, NOTHING_TOGETHER)
    features = {r.question: r.features for r in rows}
    return [sorted(row.tobytes() for row in features[i]) for i in range(len(examples))], shown_with


@pytest.fixture(scope="module")
def asked(kb: KnowledgeBase) -> list[QAExample]:
    examples = [e for e in read_questions(sample_train()) if e.triple][:60]
    return [e for e, found in zip(examples, retrieve_examples(kb, examples), strict=True) if found.asked]


@pytest.mark.slow
@pytest.mark.parametrize("changed", [2, 40])
def test_statistics_that_a_question_is_shown_with_never_saw_its_fold(kb, asked, changed) -> None:
    folds = _folds(asked)
    examples = [*asked]
    examples[changed] = with_another_gold(kb, asked[changed])
    (features, wordings), (after, wordings_after) = learnt(kb, asked), learnt(kb, examples)
    same = np.array([a == b for a, b in zip(features, after, strict=True)])
    assert same[folds == folds[changed]].all()
    assert not same[folds != folds[changed]].all()
    told = [before.asked == then.asked for before, then in zip(wordings, wordings_after, strict=True)]
    assert told == [fold == folds[changed] for fold in folds]


@pytest.mark.slow
def test_what_held_out_questions_are_asked_with_never_saw_them(kb, asked, tmp_path, monkeypatch) -> None:
    trained: list[set[int]] = []
    held_out: list[tuple[TrainedRanker, QAExample]] = []
    boost, calibrated = ranker._boost, ranker.calibrated

    def watched(rows, config):
        trained.append({r.question for r in rows})
        return boost(rows, config)

    def asked_then(opened, questions, processes, seed):
        held_out.extend(questions)
        return calibrated(opened, questions, processes, seed)

    monkeypatch.setattr(ranker, "_boost", watched)
    monkeypatch.setattr(ranker, "calibrated", asked_then)
    ranker.train_ranker(kb, asked, tmp_path / "ranker", CONFIG)
    numbers = [asked.index(example) for _, example in held_out]
    assert len(set(numbers)) == len(numbers) == round(len(asked) / 5)
    assert trained == [set(range(len(asked))) - set(numbers), set(range(len(asked)))]
    _, shown_with = learnt(kb, asked)
    for number, (judge, _) in zip(numbers, held_out, strict=True):
        assert judge.wordings.asked == shown_with[number].asked
    assert len({id(judge) for judge, _ in held_out}) > 1


def test_a_question_whose_attribute_is_to_be_new_is_shown_with_statistics_that_never_saw_it(kb, asked) -> None:
    found = retrieve_examples(kb, asked)
    config = replace(CONFIG, new_attributes=1.0)
    _, shown_with = _training_rows(kb, found, config, NOTHING_TOGETHER)
    for f, wordings in zip(found, shown_with, strict=True):
        assert f.asked is not None
        assert f.asked.attribute not in wordings.asked
    assert all(wordings.asked for wordings in shown_with)


@pytest.fixture(scope="module")
def shipped() -> list[QAExample]:
    """The questions of the shipped ranker, made again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "scripts"))
        import train_default_ranker as script

        return script.material(script.ENTITIES, script.QUESTIONS, seed=0)[0]


def test_the_record_of_the_shipped_ranker_is_that_of_its_questions(shipped) -> None:
    record = json.loads((DEFAULT_RANKER / RANKER_FILE).read_text(encoding="utf-8"))["record"]
    assert record["questions_sha256"] == sha256_of(map(asdict, shipped))


def test_no_question_or_fact_of_the_samples_test_is_among_those_of_the_shipped_ranker(shipped) -> None:
    overlap = shared(shipped, read_questions(sample_test()))
    assert overlap == ([], [])


@needs_nlpcc
def test_no_question_or_fact_of_the_reference_task_is_among_those_of_the_shipped_ranker(shipped) -> None:
    tested = read_questions(NLPCC / "nlpcc-iccpol-2016.kbqa.testing-data")
    assert shared(shipped, tested) == ([], [])


@needs_nlpcc
def test_what_the_official_files_share_is_what_the_documentation_says() -> None:
    trained, tested = (
        read_questions(NLPCC / f"nlpcc-iccpol-2016.kbqa.{name}-data") for name in ("training", "testing")
    )
    questions, facts = shared(trained, tested)
    assert [e.question for e in questions] == ["文峰塔有多高？"]
    assert len(facts) == 7
    text = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert "share one question and 7 pairs of subject and predicate" in " ".join(text.split())


def shared(trained: Iterable[QAExample], tested: Iterable[QAExample]) -> tuple[list[QAExample], list[QAExample]]:
    """The test questions that are asked in training, and those whose subject and predicate are."""
    trained, tested = list(trained), list(tested)
    questions = {comparable(e.question) for e in trained}
    facts = {e.triple[:2] for e in trained if e.triple}
    return (
        [e for e in tested if comparable(e.question) in questions],
        [e for e in tested if e.triple and e.triple[:2] in facts],
    )
