"""The task's own data: the sample of the real knowledge base, and the stand-in with over a million triples."""

import os
from pathlib import Path

import pytest

from kb_index import KnowledgeBase, build_index

DATA = Path(os.environ.get("KBQA_DATA", Path(__file__).parents[2] / ".." / "shared" / "data")) / "nlpcc2016"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no data at {DATA}: set KBQA_DATA")


def test_the_sample_of_the_real_knowledge_base(tmp_path):
    build_index([DATA / "sample.kbqa.kb"], tmp_path / "kb", progress=False)
    with KnowledgeBase.open(tmp_path / "kb") as kb:
        counts = kb.manifest.counts
        assert (counts.lines, counts.rejected) == (counts.triples + counts.duplicates, 0)
        [person] = kb.entities_named("罗育德")
        facts = {triple.predicate: triple.object for triple in kb.triples_of([person.id])}
        assert facts["毕业院校"] == "深圳大学"
        assert facts["民 族"] == "汉族"
        question = "请问罗育德毕业于哪个学校？"
        assert (2, 5) in [(mention.start, mention.end) for mention in kb.mentions(question)]


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    out = tmp_path_factory.mktemp("bench") / "kb"
    build_index([DATA / "bench.kbqa.kb"], out, progress=False)
    with KnowledgeBase.open(out) as kb:
        yield kb


@pytest.mark.slow
def test_all_lines_of_a_million_triples_are_accounted_for(bench):
    counts = bench.manifest.counts
    assert (counts.lines, counts.triples, counts.duplicates, counts.rejected) == (1_159_494, 1_151_900, 7_594, 0)
    assert (counts.entities, counts.attributes) == (209_089, 13_335)


@pytest.mark.slow
def test_rows_lie_where_their_ids_say(bench):
    kb = bench
    ids = [0, 1, 122_879, 122_880, 600_000, 1_151_899]
    assert [triple.id for triple in kb.triples_by_id(ids)] == ids
    assert [entity.id for entity in kb.entities([0, 130_000, 209_088])] == [0, 130_000, 209_088]
    many = list(range(0, 209_089, 4))
    triples = kb.triples_of(many)
    assert triples == sorted(triples)
    assert {triple.subject_id for triple in triples} == set(many)
    assert kb.triples_of(many[:300]) == [triple for triple in triples if triple.subject_id < 1200]


@pytest.mark.slow
def test_homonyms_share_their_name(bench):
    assert len(bench.entities_named("机械设计基础")) > 20


@pytest.mark.slow
def test_misspelt_names_are_found_among_two_hundred_thousand(bench):
    for misspelt, name in [
        ("机诫设计基础", "机械设计基础"),
        ("罗密欧与茱丽业", "罗密欧与朱丽叶"),
        ("深川大学", "深圳大学"),
    ]:
        assert name in {match.entity.name.split("(")[0] for match in bench.similar_entities([misspelt], 10)[0]}
