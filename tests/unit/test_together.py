import numpy as np
import pytest

from kb_index import KnowledgeBase, build_index, update_index
from kbqa_agent.together import NOTHING_TOGETHER, Together

ROWS = [
    *((f"山{i}", attribute, "5") for i in range(4) for attribute in ("高度", "面积")),
    *((f"诗{i}", "朝 代", "唐") for i in range(3)),
    ("诗3", "创作年代", "唐"),
    ("诗3", "高度", "5"),
    ("诗3", "高度", "6"),
]


@pytest.fixture(scope="module")
def kb(tmp_path_factory):
    folder = tmp_path_factory.mktemp("together")
    build_index([ROWS], folder / "index", progress=False)
    with KnowledgeBase.open(folder / "index") as opened:
        yield opened


def test_attributes_of_entities_are_pairs_without_repeats(kb):
    names, entities, attributes = kb.attributes_of_entities(100)
    pairs = sorted((int(e), names[a]) for e, a in zip(entities, attributes, strict=True))
    mountains = [(i, a) for i in range(4) for a in ("面积", "高度")]
    assert pairs == [*mountains, (4, "朝代"), (5, "朝代"), (6, "朝代"), (7, "创作年代"), (7, "高度")]


def test_siblings_meet_and_two_words_for_one_thing_do_not(kb):
    together = Together.count(kb)
    assert together.meetings("高度", ["面积", "朝代", "创作年代", "无人知"]).tolist() == [1, 0, 1, 0]
    assert together.meetings("面积", ["高度", "面积"]).tolist() == [1, 1]
    assert together.meetings("无人知", ["高度"]) is None
    assert NOTHING_TOGETHER.meetings("高度", ["面积"]) is None


def test_what_is_written_is_read(kb, tmp_path):
    together = Together.count(kb)
    together.save(tmp_path)
    read = Together.load(tmp_path)
    assert read.attributes == together.attributes
    for name in ("starts", "columns", "counts"):
        np.testing.assert_array_equal(getattr(read, name), getattr(together, name))


def test_an_update_counts_and_what_it_replaced_does_not(kb, tmp_path):
    build_index([ROWS], tmp_path / "index", progress=False)
    update_index([[("诗0", "创作年代", "唐代"), ("山9", "面积", "7")]], tmp_path / "index", progress=False)
    with KnowledgeBase.open(tmp_path / "index") as updated:
        names, entities, attributes = updated.attributes_of_entities(100)
        together = Together.count(updated)
    counts = dict(zip(names, np.bincount(attributes).tolist(), strict=True))
    assert counts == {"高度": 5, "面积": 5, "朝代": 3, "创作年代": 2}
    assert len(set(entities.tolist())) == 9
    assert together.meetings("朝代", ["创作年代"]).tolist() == [0.5]


def test_a_large_knowledge_base_is_looked_at_evenly(kb):
    names, entities, attributes = kb.attributes_of_entities(3)  # the entities 0, 3 and 7
    assert len(set(entities.tolist())) == 3
    assert {names[a] for a in attributes} == {"高度", "面积", "创作年代"}
