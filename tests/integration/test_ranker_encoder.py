"""A ranker with a transformer encoder: trained, saved, opened and asked; and what is said when the encoder is gone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import cli
from finetune.ranker import RankerConfig, _training_rows, train_ranker
from finetune.retrieved import retrieve_examples
from finetune.unseeing import stretches
from kb_index import KnowledgeBase, build_index
from kb_index.errors import ModelError
from kbqa_agent import KBQAgent
from kbqa_agent.features import feature_names
from kbqa_agent.linking import link
from kbqa_agent.qa_data import read_questions, write_nlpcc
from kbqa_agent.ranking import DEFAULT_RANKER, load_ranker
from kbqa_agent.retrieval import retrieve
from kbqa_agent.sample import sample_train, sample_triples
from kbqa_agent.similarity import EncodedTexts
from kbqa_agent.text_encoder import TextEncoder
from kbqa_agent.together import NOTHING_TOGETHER

pytest.importorskip("torch", reason="needs the extra [models]")

QUESTION = "法国的首都是哪里？"
CONFIG = RankerConfig(trees=10, folds=2)


def save_tiny_bert(folder: Path, seed: int = 0) -> str:
    """Write a BERT of random weights, and a tokenizer of the characters of the sample's questions."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    special = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
    characters = sorted({c for e in read_questions(sample_train()) for c in e.question if not c.isspace()})
    vocabulary = {token: i for i, token in enumerate((*special, *characters))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", behavior="isolated")
    tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", 2), ("[SEP]", 3)])
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(folder)
    torch.manual_seed(seed)
    size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    BertModel(BertConfig(vocab_size=len(vocabulary), max_position_embeddings=48, **size)).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_tiny_bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def encoder(bert: str) -> TextEncoder:
    return TextEncoder(bert)


@pytest.fixture(scope="module")
def kb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KnowledgeBase]:
    folder = tmp_path_factory.mktemp("encoder")
    build_index([sample_triples()], folder / "index", progress=False)
    with KnowledgeBase.open(folder / "index") as opened:
        yield opened


def test_vectors_do_not_depend_on_what_is_encoded_beside_them(encoder: TextEncoder) -> None:
    texts = ["首都", QUESTION, "人口", "法国" * 3]
    together = encoder.vectors(texts)
    assert together.shape == (4, encoder.dim) == (4, 32)
    for vector, text in zip(together, texts, strict=True):
        np.testing.assert_allclose(vector, encoder.vectors([text])[0], atol=1e-5)
    assert encoder.vectors([]).shape == (0, 32)


def test_tokens_know_their_characters_and_their_mean_is_the_texts_vector(encoder: TextEncoder) -> None:
    tokens, other = encoder.token_vectors(["法国的首都", "首都"])
    assert tokens.spans.tolist() == [[0, 0], [0, 1], [1, 2], [2, 3], [3, 4], [4, 5], [0, 0]]
    np.testing.assert_allclose(tokens.vectors.mean(axis=0), encoder.vectors(["法国的首都"])[0], atol=1e-2)
    outside = tokens.mean_outside(0, 2)
    np.testing.assert_allclose(outside, tokens.vectors[[0, 3, 4, 5, 6]].mean(axis=0, dtype=np.float32), atol=1e-6)
    assert other.vectors.shape == (4, 32)


def test_what_the_model_has_no_place_for_is_cut(encoder: TextEncoder) -> None:
    assert encoder.token_vectors(["长" * 100])[0].vectors.shape == (48, 32)


def test_it_is_trained_saved_opened_and_asked(kb: KnowledgeBase, bert: str, tmp_path: Path) -> None:
    train, index = tmp_path / "train.nlpcc", tmp_path / "index"
    write_nlpcc(read_questions(sample_train())[:150], train)
    shutil.copytree(kb.path, index)
    arguments = ["finetune", "ranker", "--index", str(index), "--questions", str(train), "--encoder", bert]
    result = CliRunner().invoke(cli.main, arguments)
    assert result.exit_code == 0, result.output
    about = json.loads((index / "ranker" / "ranker.json").read_text(encoding="utf-8"))
    assert about["encoder"] == {"name": bert, "sha256": TextEncoder(bert).fingerprint}
    assert about["features"][-8:-6] == ["similarity", "learnt_similarity"]
    assert list(about["record"]["versions"]) == ["kbqa", "lightgbm", "numpy", "torch", "transformers"]
    with KBQAgent.open(index, model="none") as agent:
        assert agent.ask(QUESTION).text == "巴黎"


@pytest.fixture(scope="module")
def trained(kb: KnowledgeBase, bert: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained") / "ranker"
    train_ranker(kb, read_questions(sample_train())[:150], out, replace(CONFIG, encoder=bert))
    return out


def test_training_twice_gives_the_same(kb: KnowledgeBase, bert: str, trained: Path, tmp_path: Path) -> None:
    train_ranker(kb, read_questions(sample_train())[:150], tmp_path / "again", replace(CONFIG, encoder=bert))
    for name in ("booster.txt", "similarity.safetensors"):
        assert (tmp_path / "again" / name).read_bytes() == (trained / name).read_bytes(), name


def test_an_encoder_that_is_gone_or_another_is_told(kb: KnowledgeBase, trained: Path, tmp_path: Path) -> None:
    ranker = shutil.copytree(trained, tmp_path / "ranker")
    about = json.loads((ranker / "ranker.json").read_text(encoding="utf-8"))
    about["encoder"]["name"] = str(tmp_path / "bert")
    (ranker / "ranker.json").write_text(json.dumps(about), encoding="utf-8")
    with pytest.raises(ModelError, match=r"bert': cannot be used \(.*: no such folder\).*; put that encoder there"):
        load_ranker(kb, ranker)
    save_tiny_bert(tmp_path / "bert", seed=1)
    with pytest.raises(ModelError, match=r"\(sha256 \w{12}\), another model is there \(sha256 \w{12}\); put that"):
        load_ranker(kb, ranker)
    save_tiny_bert(tmp_path / "bert")
    mentions = link(kb, QUESTION)
    triples = retrieve(kb, mentions)
    scores = [load_ranker(kb, folder).rank(QUESTION, mentions, triples)[0] for folder in (ranker, trained)]
    np.testing.assert_array_equal(*scores)


def test_a_folder_that_is_no_encoder_is_refused_before_training(kb: KnowledgeBase, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match=r"empty': cannot be used \(.*; expected the folder or hub name of a model"):
        train_ranker(kb, [], tmp_path / "ranker", replace(CONFIG, encoder=str(tmp_path / "empty")))
    assert not (tmp_path / "ranker").exists()


def test_the_similarity_of_a_question_was_learnt_without_its_fold(kb: KnowledgeBase, encoder: TextEncoder) -> None:
    found = [f for f in retrieve_examples(kb, read_questions(sample_train())[:40]) if f.asked]
    changed = found[0]._replace(asked=found[0].asked._replace(attribute="人口密度"))
    texts, config = EncodedTexts(encoder), replace(CONFIG, negatives=100_000, encoder="given")
    folds = stretches(len(found), config.folds)
    before, after = (
        _training_rows(kb, each, config, NOTHING_TOGETHER, texts)[0] for each in (found, [changed, *found[1:]])
    )
    learnt = feature_names(similarity=True).index("learnt_similarity")
    same = [np.array_equal(b.features[:, learnt], a.features[:, learnt]) for b, a in zip(before, after, strict=True)]
    assert [same[i] for i in range(len(found)) if folds[i] == folds[0]] == [True] * int((folds == folds[0]).sum())
    assert not all(same)


def test_the_shipped_ranker_needs_no_encoder(kb: KnowledgeBase) -> None:
    about = json.loads((DEFAULT_RANKER / "ranker.json").read_text(encoding="utf-8"))
    assert "encoder" not in about
    ranker = load_ranker(kb, DEFAULT_RANKER)
    assert ranker.features == tuple(about["features"])
    assert ranker.features[:3] == ("chars", "share", "quoted")
    assert ranker.features[-1] == "left_surprise_off_entity"
    assert ranker.wordings.similarity is None
