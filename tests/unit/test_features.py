import numpy as np
import pytest

from kb_index.types import Entity, Triple
from kbqa_agent.features import FEATURES, candidate_features, mask_mention
from kbqa_agent.patterns import TranslationModel
from kbqa_agent.types import EntityMention

QUESTION = "《线性代数》2013年版的出版时间是什么时候？"
TRIPLES = [
    Triple(0, "线性代数(2013年清华版)", "出版时间", "2013年12月", 7),
    Triple(1, "线性代数(2013年清华版)", "作者", "居余马", 7),
    Triple(2, "代数", "领域", "数学", 9),
]
MENTIONS = [
    EntityMention("线性代数", 1, 5, (Entity(7, "线性代数(2013年清华版)"),)),
    EntityMention("代数", 3, 5, (Entity(9, "代数"),)),
]


@pytest.fixture
def rows():
    untrained = TranslationModel.fit([])
    found = candidate_features(QUESTION, MENTIONS, TRIPLES, untrained, lambda names: np.array([len(n) for n in names]))
    return [dict(zip(FEATURES, row.tolist(), strict=True)) for row in found]


def test_a_mention_is_masked_with_the_marks_around_it():
    assert mask_mention(QUESTION, MENTIONS[0]) == "_2013年版的出版时间是什么时候"


def test_the_mention_group_sees_quotes_and_longer_names(rows):
    assert (rows[0]["chars"], rows[0]["quoted"], rows[0]["inside_longer"]) == (4, 1, 0)
    assert (rows[2]["chars"], rows[2]["quoted"], rows[2]["inside_longer"]) == (2, 0, 2)


def test_the_entity_group_compares_the_description_with_the_question(rows):
    assert rows[0]["described"] == 1
    assert rows[0]["plain_name"] == 1
    assert rows[0]["full_name"] == 0
    assert rows[0]["description_overlap"] == pytest.approx(4 / 7)  # 20 01 13 3年 of 20 01 13 3年 年清 清华 华版
    assert rows[2]["full_name"] == 1


def test_the_attribute_group_finds_its_name_in_the_rest_of_the_question(rows):
    assert (rows[0]["verbatim"], rows[0]["char_recall"], rows[0]["common_run"]) == (1, 1, 4)
    assert (rows[1]["verbatim"], rows[1]["char_recall"], rows[1]["common_run"]) == (0, 0, 0)
    assert rows[1]["recall_below_best"] == 1


def test_the_object_group_tells_dates_from_words(rows):
    assert rows[0]["object_shape"] != rows[1]["object_shape"]
    assert rows[0]["question_asks"] == 1


def test_no_triples_give_no_rows():
    rows = candidate_features("？", [], [], TranslationModel.fit([]), lambda names: np.zeros(len(names)))
    assert rows.shape == (0, len(FEATURES))
