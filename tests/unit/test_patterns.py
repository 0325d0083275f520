import numpy as np

from kbqa_agent.patterns import NOTHING, TranslationModel
from kbqa_agent.wordings import attribute_parts

PAIRS = [
    (question, attribute_parts(attribute))
    for question, attribute in [
        ("_是谁写的", "作者"),
        ("谁写了_", "作者"),
        ("_是谁写的呢", "作者"),
        ("_什么时候出版", "出版时间"),
        ("_是什么时候出的", "出版时间"),
        ("_什么时候上映", "上映时间"),
        ("_有多高", "身高"),
        ("_多高呢", "身高"),
    ]
]


def totals(question, *attributes):
    return TranslationModel.fit(PAIRS).gains(question, [attribute_parts(a) for a in attributes]).total


def test_the_attribute_that_a_wording_was_seen_with_gains_most():
    total = totals("_是谁写的", "作者", "出版时间", "身高")
    assert total.argmax() == 0
    assert total[0] > 0 > total[1]


def test_an_attribute_never_asked_in_training_is_read_by_its_parts():
    assert totals("_什么时候", "首播时间", "身高", "面积").argmax() == 0


def test_the_whole_name_alone_knows_nothing_of_an_unseen_attribute():
    whole = TranslationModel.fit(PAIRS).gains("_是谁写的", [("=作者",), ("=原作者",), ("=面积",)]).total
    assert whole[0] > whole[1] == whole[2]


def test_translation_probabilities_of_each_part_sum_to_one():
    model = TranslationModel.fit(PAIRS)
    sums = np.bincount(model.keys // len(model.gram_ids), model.values)
    np.testing.assert_allclose(sums, 1.0, atol=1e-3)


def test_rare_parts_are_left_out_when_asked():
    model = TranslationModel.fit(PAIRS, min_part_count=2)
    assert "=上映时间" not in model.part_ids
    assert {"=出版时间", NOTHING} <= set(model.part_ids)


def test_an_unknown_gram_is_as_rare_as_can_be():
    model = TranslationModel.fit(PAIRS)
    assert model.rarity("_是") < model.rarity("不曾见") == 15.0


def test_a_sum_of_rarities_is_the_same_in_any_order():
    model = TranslationModel.fit(PAIRS)
    rarities = [model.rarity(gram) for gram in model.gram_ids]
    assert len(set(rarities)) > 2
    assert sum(rarities) == sum(reversed(rarities)) == sum(sorted(rarities))


def test_without_training_or_without_known_grams_nothing_is_gained():
    assert TranslationModel.fit([]).gains("_是谁", [("=作者",)]).total.tolist() == [0.0]
    assert TranslationModel.fit(PAIRS).gains("xyz", [("=作者",)]).total.tolist() == [0.0]


def test_a_saved_model_gains_the_same(tmp_path):
    model = TranslationModel.fit(PAIRS)
    model.save(tmp_path, "patterns")
    again = TranslationModel.load(tmp_path, "patterns")
    things = [attribute_parts("作者"), attribute_parts("面积")]
    for mine, loaded in zip(model.gains("_是谁写的", things), again.gains("_是谁写的", things), strict=True):
        np.testing.assert_array_equal(mine, loaded)


def test_many_questions_gain_what_each_gains_alone():
    model = TranslationModel.fit(PAIRS)
    things = [attribute_parts("作者"), attribute_parts("面积"), ("=身高",)]
    masked = ["_是谁写的", "_多高呢", "xyz", "_是谁写的呢", "多高呢_"]
    asked, thing = np.array([0, 0, 0, 1, 1, 2, 2, 4, 4, 0]), np.array([0, 1, 2, 2, 0, 1, 2, 0, 1, 0])
    found = model.gains_many(masked, things, asked, thing)
    for i, (question, of_question) in enumerate(zip(asked, thing, strict=True)):
        alone = model.gains(masked[question], [things[of_question]])
        assert (found.total[i], found.best[i]) == (alone.total[0], alone.best[0])
    nothing = np.zeros(0, np.int64)
    assert [len(column) for column in model.gains_many([], [], nothing, nothing)] == [0, 0]
