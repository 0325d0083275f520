import numpy as np
import pytest

from kbqa_agent.wordings import AskedFact, Wordings, object_form

FACTS = [
    AskedFact("_是谁写的", "作者", "惠能"),
    AskedFact("_是谁写的呢", "作者", "曹雪芹"),
    AskedFact("谁写了_", "作者", "曹雪芹"),
    AskedFact("_有多高", "身高", "226 cm"),
    AskedFact("_多高呢", "身高", "180 cm"),
    AskedFact("_多高", "高度", "8848 米"),
]


@pytest.fixture(scope="module")
def wordings():
    return Wordings.fit(FACTS)


def test_an_attribute_is_read_by_its_parts_and_by_its_whole_name(wordings):
    gains, whole = wordings.attribute_gains(["_是谁写的"], ["作者", "原作者", "身高"], np.zeros(3, int), np.arange(3))
    assert gains.total[0] > gains.total[1] > gains.total[2]
    assert whole[0] > whole[1] == pytest.approx(whole[1])


def test_how_an_object_looks_tells_what_it_answers(wordings):
    forms = [object_form("199 cm"), object_form("惠能")]
    gains = wordings.object_gains(["_多高"], forms, np.zeros(2, int), np.arange(2)).total
    assert gains[0] > 0 > gains[1]


def test_each_attribute_is_counted(wordings):
    assert wordings.asked == {"作者": 3, "身高": 2, "高度": 1}


def test_saved_wordings_are_the_same(wordings, tmp_path):
    wordings.save(tmp_path)
    again = Wordings.load(tmp_path)
    assert again.asked == wordings.asked
    for mine, loaded in ((wordings.attributes, again.attributes), (wordings.objects, again.objects)):
        assert loaded.gains("_多高", [("=身高",), ("s2",)]).total.tolist() == pytest.approx(
            mine.gains("_多高", [("=身高",), ("s2",)]).total.tolist()
        )


def test_without_training_nothing_is_gained():
    untrained = Wordings.fit([])
    first = np.zeros(1, int)
    assert untrained.attribute_gains(["_是谁"], ["作者"], first, first)[0].total.tolist() == [0.0]
    assert untrained.object_gains(["_是谁"], [object_form("惠能")], first, first).best.tolist() == [0.0]
