"""Whether an answer is there at all, learnt from questions that had theirs taken away."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from statistics import mean

import pytest

from finetune.presence import fit_presence, forms_of
from finetune.ranker import RankerConfig, train_ranker
from kb_index import KnowledgeBase, build_index
from kb_index.errors import ModelError
from kbqa_agent.agent import KBQAgent
from kbqa_agent.config import AgentConfig
from kbqa_agent.features import Asked
from kbqa_agent.linking import link
from kbqa_agent.qa_data import read_questions
from kbqa_agent.ranking import TrainedRanker, load_ranker
from kbqa_agent.removal import Without, removal_of
from kbqa_agent.retrieval import retrieve
from kbqa_agent.sample import sample_test, sample_train, sample_triples

SILENT = RankerConfig(trees=30, folds=5)
"""Too few held-out questions for a model of presence: the test fits it on others."""


@pytest.fixture(scope="module")
def kb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KnowledgeBase]:
    folder = tmp_path_factory.mktemp("presence")
    build_index([sample_triples()], folder / "index", progress=False)
    with KnowledgeBase.open(folder / "index") as opened:
        yield opened


@pytest.fixture(scope="module")
def ranker(kb: KnowledgeBase) -> TrainedRanker:
    examples = read_questions(sample_train())
    train_ranker(kb, examples[:200], kb.path / "ranker", SILENT)
    fitted = load_ranker(kb)
    assert fitted.presence is None
    forms = forms_of(kb, [(fitted, example) for example in examples[200:400]])
    fitted.presence = fit_presence(forms, fitted.calibration, fitted.presence_names)
    assert fitted.presence is not None
    return fitted


def test_a_question_without_its_entity_or_attribute_is_noticed(kb: KnowledgeBase, ranker: TrainedRanker) -> None:
    examples = [e for e in read_questions(sample_test()) if removal_of(kb, e, "triples")][:40]
    there, gone, strange = [], [], []
    for example in examples:
        for kind, found in ((None, there), ("attribute", gone), ("entities", strange)):
            removal = removal_of(kb, example, kind) if kind else None
            seen = Without(kb, removal) if removal else kb
            mentions = link(seen, example.question)
            presence = ranker.judge(example.question, mentions, retrieve(seen, mentions))[2]
            if presence is not None:
                assert sum(presence) == pytest.approx(1.0)
                found.append(presence)
    assert mean(p.present for p in there) > mean(p.present for p in gone) + 0.3
    assert mean(p.present for p in there) > mean(p.present for p in strange) + 0.3
    assert mean(p.no_attribute for p in gone) > mean(p.no_attribute for p in there)


def test_the_probabilities_of_all_triples_sum_to_that_of_presence(kb: KnowledgeBase, ranker: TrainedRanker) -> None:
    question = "法国的首都是哪里？"
    mentions = link(kb, question)
    triples = retrieve(kb, mentions)
    _, probabilities = ranker.rank(question, mentions, triples)
    presence = ranker.judge(question, mentions, triples)[2]
    assert presence is not None
    assert probabilities.sum() == pytest.approx(presence.present, abs=1e-5)
    assert ranker.judge("？", (), [])[2] is None


def test_questions_are_judged_together_as_alone(kb: KnowledgeBase, ranker: TrainedRanker) -> None:
    asked = []
    for question in ("法国的首都是哪里？", "？", "日本的人口是多少？"):
        mentions = link(kb, question)
        asked.append(Asked(question, mentions, retrieve(kb, mentions)))
    assert [bool(of.triples) for of in asked] == [True, False, True]
    for of, (scores, probabilities, presence) in zip(asked, ranker.judge_many(asked), strict=True):
        alone = ranker.judge(*of)
        assert (scores.tolist(), probabilities.tolist(), presence) == (alone[0].tolist(), alone[1].tolist(), alone[2])
    assert ranker.judge_many([]) == []


def test_risk_rises_as_confidence_falls(ranker: TrainedRanker) -> None:
    assert ranker.presence is not None
    assert ranker.threshold(0.05) >= ranker.threshold(0.1) >= ranker.threshold(0.3)


def test_confidence_grows_with_the_share_that_is_expected(kb: KnowledgeBase, ranker: TrainedRanker) -> None:
    question = "法国的首都是哪里？"
    mentions = link(kb, question)
    triples = retrieve(kb, mentions)
    first, half, most, always = (
        ranker.expecting(share).judge(question, mentions, triples)[2] for share in (0.1, 0.5, 0.9, 1.0)
    )
    assert first is not None
    assert half is not None
    assert most is not None
    assert always is not None
    assert first.present < half.present < most.present < always.present == 1.0
    odds = [p.present / (1 - p.present) for p in (half, most)]
    assert odds[1] == pytest.approx(9 * odds[0])
    assert half.no_attribute / half.no_entity == pytest.approx(most.no_attribute / most.no_entity)
    assert ranker.expecting(0.9).expected_share == 0.9


def test_a_saved_model_judges_alike_and_sets_the_threshold(kb: KnowledgeBase, ranker: TrainedRanker) -> None:
    shutil.rmtree(kb.path / "ranker")
    (kb.path / "ranker").mkdir()
    ranker.save(kb.path / "ranker", {})
    assert ranker.presence is not None
    loaded = load_ranker(kb)
    assert loaded.presence is not None
    assert loaded.presence.held_out == ranker.presence.held_out
    question = "法国的首都是哪里？"
    mentions = link(kb, question)
    triples = retrieve(kb, mentions)
    assert loaded.judge(question, mentions, triples)[2] == ranker.judge(question, mentions, triples)[2]
    with KBQAgent.open(kb.path, model="none", config=AgentConfig(max_risk=0.1)) as agent:
        assert agent.expected_share == 0.9
        expecting = loaded.expecting(0.9).threshold(0.1)
        assert agent.config.min_confidence == pytest.approx(min(1.0, max(0.15, expecting)))


@pytest.mark.parametrize("name", ["presence.json", "presence.txt", "booster.txt", "asked.json"])
def test_a_damaged_model_is_said_in_one_line(
    kb: KnowledgeBase, ranker: TrainedRanker, tmp_path: Path, name: str
) -> None:
    ranker.save(tmp_path, {})
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match=rf"cannot be read \({name} is not as it was written\)") as caught:
        load_ranker(kb, tmp_path)
    assert "\n" not in str(caught.value)
