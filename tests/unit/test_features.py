import numpy as np
import pytest

from kb_index.types import Entity, Triple
from kbqa_agent.features import FEATURES, Asked, candidate_features, candidate_features_many
from kbqa_agent.mention_features import mask_mention
from kbqa_agent.types import EntityMention
from kbqa_agent.wordings import AskedFact, Wordings

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
    untrained = Wordings.fit([])
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
    assert rows[1]["char_recall_off_best"] == rows[1]["char_recall_off_entity"] == 1


def test_the_object_group_tells_dates_from_words(rows):
    assert rows[0]["object_shape"] != rows[1]["object_shape"]
    assert rows[0]["question_asks"] == 1


def test_distances_are_from_the_best_of_the_question_of_the_mention_and_of_the_entity(rows):
    assert [row["chars_off_best"] for row in rows] == [0, 0, 2]
    assert [row["n_triples_off_mention"] for row in rows] == [0, 0, 0]
    assert [row["left_surprise_off_entity"] > 0 for row in rows] == [False, True, False]


def test_questions_with_nothing_before_a_name_make_one_with_something_before_it_look_rare():
    wordings = Wordings.fit([AskedFact("_的出版时间", "出版时间", "2013年")] * 3)
    found = candidate_features(QUESTION[1:], shifted(MENTIONS), TRIPLES, wordings, lambda n: np.ones(len(n)))
    start, middle = (dict(zip(FEATURES, row.tolist(), strict=True))["rarity_before"] for row in found[[0, 2]])
    assert start < middle


def shifted(mentions):
    return [EntityMention(m.text, m.start - 1, m.end - 1, m.entities) for m in mentions]


def test_no_triples_give_no_rows():
    rows = candidate_features("？", [], [], Wordings.fit([]), lambda names: np.zeros(len(names)))
    assert rows.shape == (0, len(FEATURES))


def test_each_of_several_questions_gets_the_numbers_that_it_gets_alone():
    wordings = Wordings.fit(
        [AskedFact("_的作者是谁", "作者", "居余马"), AskedFact("_什么时候出版", "出版时间", "2013年12月")]
    )
    other = "《线性代数》2013年版是谁写的？"  # the same mentions and triples at the same places
    asked = [
        Asked(QUESTION, MENTIONS, TRIPLES),
        Asked("？", [], []),
        Asked(other, MENTIONS, TRIPLES),
        Asked(QUESTION, MENTIONS, list(reversed(TRIPLES))),
        Asked("代数的领域是什么？", [EntityMention("代数", 0, 2, (Entity(9, "代数"),))], TRIPLES[2:]),
    ]
    alone = [candidate_features(*of, wordings, lambda names: np.arange(len(names))) for of in asked]
    together = candidate_features_many(asked, wordings, lambda names: np.arange(len(names)))
    without_counts = [i for i, name in enumerate(FEATURES) if not name.startswith("frequency")]
    for mine, found in zip(alone, together, strict=True):
        np.testing.assert_array_equal(mine[:, without_counts], found[:, without_counts])
    assert together[1].shape == (0, len(FEATURES))
    np.testing.assert_array_equal(together[0][::-1], together[3])
    assert (together[0] != together[2]).any()
    assert candidate_features_many([], wordings, lambda names: np.arange(len(names))) == []
