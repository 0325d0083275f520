"""An index in shards says what the same triples say in one folder, ids and order included.

`KBQA_EXAMPLES=100 pytest tests/integration/test_sharded_look_ups.py` tries as many knowledge bases as that.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kb_index import KnowledgeBase, build_index
from kb_index.shards.build import ShardedBuild
from kbqa_agent.sample import sample_triples

N_EXAMPLES = int(os.environ.get("KBQA_EXAMPLES", "8"))

SUBJECTS = [
    "坛经",
    "《坛经》",
    "Ａ书",
    "a书",
    "A 书",
    "机械(教材)",
    "机械(2010年)",
    "机械",
    "械机",
    "惠能",
    "b",
    "唐(朝代)",
]
PREDICATES = ["作者", "作 者", "者作", "别名", "中文名", "页数[1]", "Name", "朝代"]
OBJECTS = ["惠能", "慧能、六祖", "A书", "ａ书", "机械", "b", "350", "唐", "一段很长的文字" * 6, "甲/乙", "《坛经》"]
TEXTS = [f"{name}和{other}是什么？" for name, other in zip(SUBJECTS, OBJECTS, strict=False)]
MISSPELT = [*SUBJECTS, *OBJECTS, "机诫", "坛坛经", "惠", "xyz", "", "书a"]


class Statement(NamedTuple):
    """A line; `source` is an extra column, or empty."""

    subject: str
    predicate: str
    object: str
    source: str = ""


statements = st.builds(
    Statement, *(st.sampled_from(of) for of in (SUBJECTS, PREDICATES, OBJECTS, ["", "甲源", "乙源"]))
)


def build_both(lines: Sequence[Statement], n_shards: int, folder: Path) -> tuple[Path, Path]:
    """Build an index of lines in one folder and in shards."""
    rows = [line._asdict() for line in lines]
    build_index([rows], folder / "whole", progress=False)
    ShardedBuild(n_shards, progress=False).run([rows], folder / "sharded")
    return folder / "whole", folder / "sharded"


def answers(kb: KnowledgeBase, names: Sequence[str], texts: Sequence[str], attributes: Sequence[str]) -> dict[str, Any]:
    """Ask an index everything about some names, texts and attributes."""
    n = kb.manifest.counts
    ids, triples = range(-2, n.entities + 3), range(-2, n.triples + 3)
    pairs = kb.attributes_of_entities(4)
    prefixes = sorted({name[:i] for name in names for i in (0, 1, 2)})
    return {
        "mentions": [kb.mentions(text) for text in texts],
        "named": [kb.entities_named(name) for name in names],
        "entities": kb.entities(ids),
        "some entities": kb.entities([3, 1, 1, 10**30]),
        "triples of": kb.with_extra(kb.triples_of(ids)),
        "triples of some": kb.triples_of([2, 0, 2]),
        "triples": kb.triples_by_id(triples),
        "some triples": [kb.triples_by_id([i, i + 2]) for i in triples[::7]],
        "about": [kb.triples_about(name, limit) for name in names for limit in (0, 1, 2, 100)],
        "listed about": [kb.triples_about(name, limit, listed=True) for name in names for limit in (1, 100)],
        "frequency": kb.attribute_frequency(attributes).tolist(),
        "pairs": (pairs[0], pairs[1].tolist(), pairs[2].tolist()),
        "prefixes": [kb.entities_with_prefix(prefix, limit) for prefix in prefixes for limit in (1, 3, 50)],
    }


def assert_alike(found: Sequence[Sequence[tuple[object, float]]], expected: Sequence[Sequence[tuple[object, float]]]):
    """Compare what is similar: the same in the same order, as near but for how floats are added up."""
    assert [[of for of, _ in matches] for matches in found] == [[of for of, _ in matches] for matches in expected]
    scores = [[score for matches in of for _, score in matches] for of in (found, expected)]
    assert scores[0] == pytest.approx(scores[1], abs=1e-6)


def assert_equal(sharded: KnowledgeBase, whole: KnowledgeBase, names=MISSPELT, texts=TEXTS, attributes=PREDICATES):
    """Compare all look-ups of two indexes."""
    found, expected = (answers(kb, names, texts, attributes) for kb in (sharded, whole))
    for look_up, says in expected.items():
        assert found[look_up] == says, look_up
    for k in (1, 3, 20):
        assert_alike(sharded.similar_entities(names, k), whole.similar_entities(names, k))
        assert_alike(sharded.similar_attributes(attributes, k), whole.similar_attributes(attributes, k))


@pytest.mark.slow
@settings(max_examples=N_EXAMPLES, deadline=None)
@given(lines=st.lists(statements, min_size=1, max_size=40), n_shards=st.integers(1, 5))
def test_shards_say_what_one_folder_says(lines, n_shards):
    with tempfile.TemporaryDirectory() as folder:
        whole, sharded = build_both(lines, n_shards, Path(folder))
        with KnowledgeBase.open(sharded) as found, KnowledgeBase.open(whole) as expected:
            assert_equal(found, expected)


def lines_of(path: Path) -> list[Statement]:
    parts = (line.split("|||", 2) for line in path.read_text(encoding="utf-8").split("\n"))
    return [Statement(*(part.strip() for part in of)) for of in parts if len(of) == 3 and all(map(str.strip, of))]


@pytest.fixture(scope="module")
def sample(tmp_path_factory) -> tuple[Path, Path]:
    """The embedded sample in one folder and in four shards."""
    return build_both(lines_of(sample_triples()), 4, tmp_path_factory.mktemp("sample"))


def test_the_sample_says_the_same_in_four_shards(sample):
    with KnowledgeBase.open(sample[0]) as whole, KnowledgeBase.open(sample[1]) as sharded:
        entities = whole.entities(range(0, whole.manifest.counts.entities, 60))
        names = [e.name for e in entities] + [e.name[:-1] for e in entities] + ["", "一"]
        texts = [f"{a.name}的{b.name}" for a, b in pairwise(entities)]
        attributes = sorted({t.predicate for t in whole.triples_of([e.id for e in entities])})
        assert len(list((sample[1] / "shards").iterdir())) == 4
        assert_equal(sharded, whole, names, texts, attributes)
