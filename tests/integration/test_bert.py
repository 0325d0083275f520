"""BERT from a question file to a folder, and from that folder to answers; and what is said of folders it cannot use."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import cli
from finetune.bert import BertResult, train_bert
from finetune.bert_config import BertTraining
from finetune.bert_scratch import character_tokenizer, small_bert
from kb_index import KnowledgeBase, build_index
from kb_index.errors import InputError, MissingExtraError, ModelError, QuestionFileError, StorageError
from kbqa_agent import KBQAgent
from kbqa_agent.linking import link
from kbqa_agent.qa_data import read_questions, write_nlpcc
from kbqa_agent.rankers import open_ranker
from kbqa_agent.retrieval import retrieve
from kbqa_agent.sample import sample_train, sample_triples
from kbqa_agent.types import QAExample

pytest.importorskip("torch", reason="needs the extra [models]")

QUESTION = "法国的首都是哪里？"
TINY = BertTraining(layers=1, width=64, epochs=4, learning_rate=2e-3)


@pytest.fixture(scope="module")
def kb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KnowledgeBase]:
    folder = tmp_path_factory.mktemp("bert")
    build_index([sample_triples()], folder / "index", progress=False)
    with KnowledgeBase.open(folder / "index") as opened:
        yield opened


@pytest.fixture(scope="module")
def trained(kb: KnowledgeBase, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, BertResult]:
    out = tmp_path_factory.mktemp("trained") / "bert"
    return out, train_bert(kb, read_questions(sample_train())[:300], out, TINY)


def test_it_learns_and_answers(kb: KnowledgeBase, trained: tuple[Path, BertResult]) -> None:
    out, result = trained
    assert result.n_questions == 300
    assert result.recall > 0.95
    assert result.validation_mrr > 0.6  # one of the triples by chance: 0.1
    with KBQAgent.open(kb.path, model="none", ranker=out) as agent:
        answer = agent.ask(QUESTION)
        assert answer.text == "巴黎"
        assert [a.text for a in agent.ask_many([QUESTION, "意大利的首都是哪里？"])] == ["巴黎", "罗马"]
    assert sum(c.score for c in answer.candidates) <= result.calibration.present + 1e-6


def test_its_folder_holds_record_and_metrics(trained: tuple[Path, BertResult]) -> None:
    out, result = trained
    about = json.loads((out / "ranker.json").read_text(encoding="utf-8"))
    assert list(about) == ["kind", "format", "files", "calibration", "record"]
    assert about["kind"] == "bert"
    assert {"heads.safetensors", "encoder/config.json", "encoder/model.safetensors"} < set(about["files"])
    assert list(about["record"]) == ["command", "config", "questions_sha256", "result", "versions"]
    assert about["record"]["config"]["width"] == 64
    stages = [json.loads(line) for line in (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["stage"] for row in stages] == ["retrieve", "epoch 1", "epoch 2", "epoch 3", "epoch 4", "calibrate"]
    assert stages[4]["loss"] < stages[1]["loss"]
    assert stages[-1]["validation_mrr"] == result.validation_mrr


def test_an_opened_ranker_is_the_saved_one(kb: KnowledgeBase, trained: tuple[Path, BertResult]) -> None:
    mentions = link(kb, QUESTION)
    triples = retrieve(kb, mentions)
    rankers = [open_ranker(kb, trained[0]) for _ in range(2)]
    once, twice = (ranker.rank(QUESTION, mentions, triples) for ranker in rankers)
    np.testing.assert_array_equal(once[1], twice[1])
    assert once[1].sum() == pytest.approx(trained[1].calibration.present, abs=1e-5)
    fresh = open_ranker(kb, trained[0])
    with ThreadPoolExecutor(4) as pool:
        for scores, _ in pool.map(lambda _: fresh.rank(QUESTION, mentions, triples), range(16)):
            np.testing.assert_allclose(scores, once[0], atol=1e-5)


def test_a_seed_gives_the_same_bytes_whatever_torch_drew_before(kb: KnowledgeBase, tmp_path: Path) -> None:
    import torch

    few, config = read_questions(sample_train())[:80], replace(TINY, epochs=1)
    for name in ("a", "b"):
        torch.rand(1 + len(name))
        train_bert(kb, few, tmp_path / name, config)
        torch.rand(5)
    train_bert(kb, few, tmp_path / "other", replace(config, seed=1))
    weights = [
        (tmp_path / name / "encoder" / "model.safetensors").read_bytes()
        + (tmp_path / name / "heads.safetensors").read_bytes()
        for name in ("a", "b", "other")
    ]
    assert weights[0] == weights[1] != weights[2]


def test_an_encoder_in_a_folder_is_trained_by_the_command(kb: KnowledgeBase, tmp_path: Path) -> None:
    questions = read_questions(sample_train())[:80]
    tokenizer = character_tokenizer(e.question for e in questions)
    tokenizer.save_pretrained(tmp_path / "encoder")
    small_bert(len(tokenizer), layers=1, width=32).save_pretrained(tmp_path / "encoder")
    write_nlpcc(questions, tmp_path / "train.nlpcc")
    out = tmp_path / "bert"
    arguments = ("--questions", tmp_path / "train.nlpcc", "--index", kb.path, "--out", out, "--epochs", 1)
    command = ["finetune", "bert", *map(str, arguments), "--model"]
    result = CliRunner().invoke(cli.main, [*command, str(tmp_path / "encoder")])
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"{out}: 80 questions in ")
    assert json.loads((out / "encoder" / "config.json").read_text(encoding="utf-8"))["hidden_size"] == 32
    asked = CliRunner().invoke(
        cli.main, ["ask", QUESTION, "--index", str(kb.path), "--ranker", str(out), "--model", "none", "--json"]
    )
    assert asked.exit_code == 0, asked.output
    result = CliRunner().invoke(cli.main, [*command, str(tmp_path / "no-such-folder")])
    assert result.exit_code == 1
    assert "expected the folder or hub name of a model such as BERT" in result.output
    shared = CliRunner().invoke(cli.main, [*command, "scratch", "--held-out", str(tmp_path / "train.nlpcc")])
    assert shared.exit_code == 1
    assert "80 of its questions are in" in shared.output


def test_damaged_and_other_folders_are_told(
    kb: KnowledgeBase, trained: tuple[Path, BertResult], tmp_path: Path
) -> None:
    folder = shutil.copytree(trained[0], tmp_path / "bert")
    (folder / "heads.safetensors").write_bytes(b"x")
    with pytest.raises(
        ModelError, match=r"heads.safetensors is not as it was written\); train it again: kbqa finetune b"
    ):
        open_ranker(kb, folder)
    (folder / "encoder" / "config.json").unlink()
    with pytest.raises(ModelError, match=r"bert: cannot be read \(encoder/config.json is missing\)"):
        open_ranker(kb, folder)
    about = json.loads((folder / "ranker.json").read_text(encoding="utf-8"))
    (folder / "ranker.json").write_text(json.dumps({**about, "format": 9}), encoding="utf-8")
    with pytest.raises(ModelError, match=r"cannot be read \(format 9, expected 1\)"):
        open_ranker(kb, folder)
    with pytest.raises(ModelError, match=r"nothing: cannot be read .*train it again: kbqa finetune ranker"):
        open_ranker(kb, tmp_path / "nothing")


def test_without_the_packages_for_models_it_is_told(
    kb: KnowledgeBase, trained: tuple[Path, BertResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r"torch is not installed, .*kbqa\[models\]"):
        train_bert(kb, [], tmp_path / "bert")
    with pytest.raises(MissingExtraError, match=r"torch is not installed, .*kbqa\[models\]"):
        open_ranker(kb, trained[0])


def test_what_cannot_be_trained_on_is_told_and_an_old_ranker_stays(kb: KnowledgeBase, tmp_path: Path) -> None:
    (tmp_path / "ranker").mkdir()
    (tmp_path / "ranker" / "ranker.json").write_text("old", encoding="utf-8")
    strangers = [QAExample(str(i), f"{i}号星球的颜色？", ("不存在的颜色",)) for i in range(30)]
    with pytest.raises(QuestionFileError, match=r"30 questions, 0 of them with their answer in .*: too few to train"):
        train_bert(kb, strangers, tmp_path / "ranker", TINY)
    assert (tmp_path / "ranker" / "ranker.json").read_text(encoding="utf-8") == "old"
    (tmp_path / "thesis.tex").write_text("years of work", encoding="utf-8")
    with pytest.raises(StorageError, match=r"without a ranker\.json; it is left as it is"):
        train_bert(kb, strangers, tmp_path, TINY)


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(InputError, match="width=100: expected a multiple of 64, or less"):
        BertTraining(width=100)
    with pytest.raises(InputError, match="epochs=0"):
        BertTraining(epochs=0)
    assert (BertTraining().rate, BertTraining(model="bert-base-chinese").rate) == (5e-4, 5e-5)
