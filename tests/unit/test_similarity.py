from __future__ import annotations

import numpy as np
import pytest

from kb_index.types import Entity, Triple
from kbqa_agent.features import FEATURES, candidate_features, feature_names
from kbqa_agent.similarity import AskedAttribute, EncodedTexts, Similarity
from kbqa_agent.text_encoder import TokenVectors
from kbqa_agent.types import EntityMention
from kbqa_agent.wordings import Wordings

MENTION = EntityMention("甲", 0, 1, (Entity(7, "甲"),))
DIRECTIONS = {"高": (1.0, 0.0), "重": (0.0, 1.0)}


class CharacterEncoder:
    """A fake of two dimensions: 高 is (1, 0), 重 is (0, 1), and all else nothing."""

    dim = 2

    def __init__(self) -> None:
        self.encoded: list[str] = []

    def vectors(self, texts, progress=None):
        self.encoded += texts
        return np.array([np.mean([DIRECTIONS.get(c, (0.0, 0.0)) for c in t], axis=0) for t in texts], np.float32)

    def token_vectors(self, texts, progress=None):
        self.encoded += texts
        spans = [np.array([(i, i + 1) for i in range(len(t))]) for t in texts]
        tokens = [np.array([DIRECTIONS.get(c, (0.0, 0.0)) for c in t], np.float16) for t in texts]
        return [TokenVectors(*item) for item in zip(tokens, spans, strict=True)]


@pytest.fixture
def texts() -> EncodedTexts:
    return EncodedTexts(CharacterEncoder())


@pytest.fixture
def similarity(texts) -> Similarity:
    return Similarity.fit(texts, [AskedAttribute("甲高", MENTION, "高"), AskedAttribute("甲重", MENTION, "重")])


def test_the_cosine_is_taken_from_the_means_and_the_ridge_shrinks_the_learnt_one(similarity):
    # Both sides are (1, -1) / sqrt(2) and its opposite; W = (Q'Q + I)^-1 Q'A = [[1, -1], [-1, 1]] / 3
    table = similarity.table("甲重", [MENTION], ["高", "重"])
    np.testing.assert_allclose(table, [[[-1, -2 / 3], [1, 2 / 3]]], atol=1e-6)


def test_what_a_mention_covers_does_not_count(similarity):
    around = [EntityMention(text, 0, len(text), ()) for text in ("高", "高甲", "高甲重")]
    table = similarity.table("高甲重", around, ["高"])[:, 0, 0]
    assert table.tolist() == pytest.approx([-np.sqrt(0.5), -1.0, 0.0])


def test_nothing_learnt_is_nothing_alike(texts):
    assert Similarity.fit(texts, []).table("甲高", [MENTION], ["重"])[0, 0, 1] == 0


def test_each_text_is_encoded_once_while_it_is_kept(texts):
    texts.prepare(["甲高"], ["高", "重"])
    for _ in range(2):
        texts.question("甲高")
        texts.attributes(["重", "高", "身高", "重"])
    assert texts.encoder.encoded == ["甲高", "高", "重", "身高"]


def test_columns_with_a_similarity_stand_after_those_without(similarity):
    names = feature_names(similarity=True)
    assert names[: len(FEATURES)] == FEATURES == feature_names(similarity=False)
    assert names[len(FEATURES) :] == (
        *("similarity", "learnt_similarity", "similarity_off_best", "learnt_similarity_off_best"),
        *("similarity_off_mention", "learnt_similarity_off_mention"),
        *("similarity_off_entity", "learnt_similarity_off_entity"),
    )


def test_the_attribute_that_is_meant_is_the_nearest(similarity):
    triples = [Triple(0, "甲", "高", "2米", 7), Triple(1, "甲", "重", "9斤", 7)]
    without = Wordings.fit([])
    wordings = Wordings(without.attributes, without.objects, without.asked, similarity)
    plain, more = (
        candidate_features("甲重", [MENTION], triples, each, lambda names: np.ones(len(names)))
        for each in (without, wordings)
    )
    np.testing.assert_array_equal(more[:, : len(FEATURES)], plain)
    near = dict(zip(feature_names(similarity=True), more.T, strict=True))
    assert near["similarity"].tolist() == pytest.approx([-1, 1])
    for group in ("best", "mention", "entity"):
        assert near[f"similarity_off_{group}"].tolist() == pytest.approx([2, 0])
        assert near[f"learnt_similarity_off_{group}"].tolist() == pytest.approx([4 / 3, 0])
    assert candidate_features("甲重", [], [], wordings, lambda a: np.ones(0)).shape == (0, len(FEATURES) + 8)
