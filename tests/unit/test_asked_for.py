import numpy as np
import pytest

from kbqa_agent.asked_for import ASKED_FOR
from kbqa_agent.together import Together
from kbqa_agent.wordings import AskedFact, Wordings, attribute_parts

FACTS = [
    *[AskedFact("_有多高", "高度", "5米")] * 4,
    *[AskedFact("_有多重", "重量", "12公斤")] * 4,
    *[AskedFact("_是谁写的", "作者", "惠能")] * 8,
]


@pytest.fixture(scope="module")
def wordings() -> Wordings:
    return Wordings.fit(FACTS)


def seen(
    wordings: Wordings, masked: str, best: str, held: set[str], by_name: set[str] | None = None
) -> dict[str, float]:
    found = wordings.asked_for.features(masked, best, held, by_name or held)
    return dict(zip(ASKED_FOR, found.tolist(), strict=True))


@pytest.mark.parametrize("masked", ["_有多高", "那个_是谁写的", "完全不同", ""])
def test_the_gains_of_all_asked_attributes_are_those_of_the_translation_model(wordings, masked):
    expected = wordings.attributes.gains(masked, [attribute_parts(a) for a in wordings.asked]).total
    np.testing.assert_allclose(wordings.asked_for.gains(masked), expected, atol=1e-4)


def test_a_sibling_of_what_is_asked_for_is_told_by_the_attribute_that_fits_better(wordings):
    right, sibling = (seen(wordings, "_有多高", best, {"重量", best}) for best in ("高度", "重量"))
    assert right["behind_likeliest"] == 0
    assert sibling["behind_likeliest"] > 1
    assert (right["likeliest_is_held"], sibling["likeliest_is_held"]) == (1, 0)
    assert right["held_share"] > 0.9
    assert sibling["held_share"] < 0.5
    assert right["asked_share"] == right["likeliest_share"] == sibling["likeliest_share"]


def test_what_homonyms_have_and_names_that_are_alike_are_seen_apart(wordings):
    found = seen(wordings, "_有多高", "高", {"高"}, {"高", "高度"})
    assert found["asked_share"] == found["held_share"] == 0  # never asked for by this name
    assert found["held_by_name_share"] == found["likeliest_share"] == found["alike_share"] > 0.8
    assert found["likeliest_overlap"] == 0.5


def test_a_sibling_meets_what_is_asked_for_and_a_word_for_the_same_thing_does_not():
    # 3 entities have 高度 and 重量, one 高 alone: by rows, the attributes that each meets, and in how many entities
    together = Together(
        ("高度", "重量", "高"), *(np.array(c, np.int32) for c in ([0, 2, 4, 5], [0, 1, 0, 1, 2], [3, 3, 3, 3, 1]))
    )
    wordings = Wordings.fit(FACTS, together)
    sibling, same = (seen(wordings, "_有多高", best, {best}) for best in ("重量", "高"))
    assert sibling["meets_best"] == sibling["missing_meets_best"] == sibling["most_missing"]
    assert sibling["meets_best"] == sibling["likeliest_share"] > 0.8  # 高度, and all that have the one have the other
    assert (same["meets_best"], same["missing_meets_best"], same["most_missing"]) == (0, 0, 0)
    held = seen(wordings, "_有多高", "重量", {"重量", "高度"})
    assert held["meets_best"] == sibling["meets_best"]
    assert held["missing_meets_best"] == held["most_missing"] == 0
    assert np.isnan(seen(wordings, "_有多高", "未数过", {"未数过"})["meets_best"])


def test_where_training_asked_for_nothing_nothing_is_seen():
    assert not Wordings.fit([]).asked_for.features("_有多高", "高", {"高"}, {"高"}).any()
