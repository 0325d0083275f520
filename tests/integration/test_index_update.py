"""Triples are added to an index and removed from it, and readers see it when they reopen."""

import json
from pathlib import Path

import pytest

from kb_index import KnowledgeBase, build_index, delete_triples, update_index
from kb_index.errors import IndexFolderError, InputError

FIRST = [
    ("坛经(佛教经典)", "别名", "六祖坛经"),
    ("坛经(佛教经典)", "作者", "惠能"),
    ("惠能", "民族", "汉族"),
    ("惠能", "出生地", "新州"),
]
MORE = [("惠能", "朝代", "唐"), ("金刚经", "译者", "鸠摩罗什"), ("惠能", "民族", "汉族")]


@pytest.fixture
def index(tmp_path: Path) -> Path:
    build_index([FIRST], tmp_path / "kb", progress=False)
    return tmp_path / "kb"


def facts(kb: KnowledgeBase, name: str) -> list[tuple[str, str]]:
    return [(t.predicate, t.object) for t in kb.triples_of([e.id for e in kb.entities_named(name)])]


def test_added_triples_are_found_every_way(index):
    info = update_index([MORE], index, progress=False)
    assert (info.kind, info.lines, info.added, info.removed, info.rejected) == ("add", 3, 2, 0, 0)
    with KnowledgeBase.open(index) as kb:
        assert facts(kb, "惠能") == [("民族", "汉族"), ("出生地", "新州"), ("朝代", "唐")]
        assert [kb.entities([m.entity_ids[0]])[0].name for m in kb.mentions("金刚经和坛经")] == [
            "金刚经",
            "坛经(佛教经典)",
        ]
        assert [t.subject for t in kb.triples_about("鸠摩罗什")] == ["金刚经"]
        assert [t.subject for t in kb.triples_about("惠能")] == ["坛经(佛教经典)"]
        assert kb.attribute_frequency(["民族", "朝代", "译者", "无"]).tolist() == [1, 1, 1, 0]
        assert kb.names_with_prefix("金", 3) == ["金刚经"]
        assert kb.similar_entities(["金钢经"], 1)[0][0].entity.name == "金刚经"
        assert kb.similar_attributes(["译者"], 1)[0][0].name == "译者"
        counts = kb.manifest.counts
        assert (counts.triples, counts.entities, counts.attributes, counts.aliases) == (6, 3, 6, 5)
        assert [update.added for update in kb.manifest.updates] == [2]
        assert kb.triples_by_id(t.id for t in kb.triples_of(range(3))) == kb.triples_of(range(3))


def test_an_open_reader_keeps_its_view_until_it_reopens(index):
    with KnowledgeBase.open(index) as kb:
        update_index([MORE], index, progress=False)
        assert kb.mentions("金刚经") == []
        assert kb.similar_entities(["惠能"], 1)[0][0].entity.name == "惠能"
        assert kb.reopen()
        assert len(kb.mentions("金刚经")) == 1
        assert not kb.reopen()


def test_the_same_change_twice_changes_nothing(index):
    update_index([MORE], index, progress=False)
    before = {path: path.stat().st_mtime_ns for path in index.rglob("*")}
    info = update_index([MORE], index, progress=False)
    assert (info.lines, info.added, info.removed) == (3, 0, 0)
    assert {path: path.stat().st_mtime_ns for path in index.rglob("*")} == before
    assert [path.name for path in index.parent.iterdir()] == ["kb"]


def test_triples_and_subjects_are_removed(index):
    info = delete_triples(index, sources=[[FIRST[2], ("惠能", "民族", "满族")]], progress=False)
    assert (info.kind, info.lines, info.removed) == ("delete", 2, 1)
    assert delete_triples(index, subjects=["坛经(佛教经典)"], progress=False).removed == 2
    assert delete_triples(index, subjects=["坛经(佛教经典)", "无此人"], progress=False).removed == 0
    with KnowledgeBase.open(index) as kb:
        assert facts(kb, "惠能") == [("出生地", "新州")]
        assert kb.entities_named("六祖坛经") == []
        assert kb.triples_about("惠能") == []
        assert kb.attribute_frequency(["作者", "民族", "出生地"]).tolist() == [0, 0, 1]
        assert [match.entity.name for match in kb.similar_entities(["坛经"], 3)[0]] == ["惠能"]
        assert [match.name for match in kb.similar_attributes(["作者"], 5)[0]] == ["出生地"]
        counts = kb.manifest.counts
        assert (counts.triples, counts.entities, counts.attributes, counts.aliases) == (1, 1, 1, 1)
        assert len(kb.manifest.updates) == 2


def test_what_a_source_stated_goes_and_what_another_states_too_stays(tmp_path):
    rows = {
        "subject": ["惠能", "惠能", "惠能", "神秀"],
        "predicate": ["朝代", "朝代", "民族", "朝代"],
        "object": ["唐", "唐", "汉族", "唐"],
        "source": ["wiki", "书", "wiki", "wiki"],
    }
    build_index([rows], tmp_path / "kb", progress=False)
    with KnowledgeBase.open(tmp_path / "kb") as kb:
        [dynasty, people] = kb.with_extra(kb.triples_of([e.id for e in kb.entities_named("惠能")]))
        assert dynasty.extra == ({"source": "wiki"}, {"source": "书"})
        assert people.extra == ({"source": "wiki"},)
        info = delete_triples(tmp_path / "kb", where={"source": "wiki"}, progress=False)
        assert (info.removed, info.restated) == (2, 1)
        kb.reopen()
        [dynasty] = kb.with_extra(kb.triples_of(range(5)))
        assert (dynasty[1:4], dynasty.extra) == (("惠能", "朝代", "唐"), ({"source": "书"},))
        assert kb.entities_named("神秀") == []


def test_a_large_change_builds_the_whole_again_and_keeps_the_ranker(index, monkeypatch):
    monkeypatch.setattr("kb_index.update.LATER_ENTITIES", 0)
    (index / "ranker").mkdir()
    (index / "ranker" / "ranker.json").write_text("{}", encoding="utf-8")
    update_index([MORE], index, progress=False)
    assert not (index / "delta").exists()
    assert (index / "ranker" / "ranker.json").is_file()
    with KnowledgeBase.open(index) as kb:
        assert [e.name for e in kb.entities(range(9))] == ["坛经(佛教经典)", "惠能", "金刚经"]
        assert facts(kb, "惠能") == [("民族", "汉族"), ("出生地", "新州"), ("朝代", "唐")]
        assert kb.manifest.counts.triples == 6


def test_a_failed_update_leaves_the_index_as_it_was(index, tmp_path):
    (tmp_path / "bad.kb").write_text("no triples\nhere\n", encoding="utf-8")
    before = json.loads((index / "manifest.json").read_text(encoding="utf-8"))
    with pytest.raises(InputError):
        update_index([tmp_path / "bad.kb"], index, progress=False)
    with pytest.raises(IndexFolderError, match="no such folder"):
        update_index([MORE], tmp_path / "nowhere", progress=False)
    with pytest.raises(InputError, match="expected one way to name what to delete"):
        delete_triples(index, progress=False)
    with pytest.raises(InputError, match="expected one way to name what to delete"):
        delete_triples(index, subjects=["惠能"], where={"source": "wiki"}, progress=False)
    assert json.loads((index / "manifest.json").read_text(encoding="utf-8")) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.kb", "kb"]


@pytest.mark.parametrize("later_entities", [10_000, 0])
def test_rejected_lines_are_of_the_changes_files(index, tmp_path, monkeypatch, later_entities):
    monkeypatch.setattr("kb_index.update.LATER_ENTITIES", later_entities)
    (tmp_path / "good").write_text("金刚经 ||| 译者 ||| 鸠摩罗什\n", encoding="utf-8")
    (tmp_path / "bad").write_text("心经 ||| 译者 ||| 玄奘\n半行\n", encoding="utf-8")
    before = KnowledgeBase.open(index)
    update_index([tmp_path / "good", tmp_path / "bad"], index, progress=False)
    rejects = index / "rejects.jsonl" if later_entities == 0 else index / "delta" / "rejects.jsonl"
    (row,) = map(json.loads, rejects.read_text(encoding="utf-8").splitlines())
    assert (row["file"], row["line"], row["text"]) == (str(tmp_path / "bad"), 2, "半行")
    with before, KnowledgeBase.open(index) as kb:
        assert kb.manifest.sources == before.manifest.sources


def test_a_triple_asked_for_twice_has_its_extra_columns_once(tmp_path):
    rows = [{"subject": "坛经", "predicate": "作者", "object": "惠能", "source": source} for source in ("甲", "乙")]
    build_index([rows], tmp_path / "kb", progress=False)
    with KnowledgeBase.open(tmp_path / "kb") as kb:
        (triple,) = kb.triples_of([0])
        assert [t.extra for t in kb.with_extra([triple, triple])] == [({"source": "甲"}, {"source": "乙"})] * 2


def test_a_new_build_of_the_whole_keeps_the_rejects_and_the_counts_of_lines(tmp_path, monkeypatch):
    (tmp_path / "a.kb").write_text(
        "坛经 ||| 作者 ||| 惠能\nhalf a line\n坛经 ||| 作者 ||| 惠能\n坛经 ||| 朝代 ||| 唐\n", encoding="utf-8"
    )
    (tmp_path / "b.kb").write_text(
        "金刚经 ||| 译者 ||| 鸠摩罗什\n金刚经 ||| 朝代 ||| 后秦\nanother\n", encoding="utf-8"
    )
    build_index([tmp_path / "a.kb"], tmp_path / "kb", progress=False)
    monkeypatch.setattr("kb_index.update.LATER_ENTITIES", 0)
    update_index([tmp_path / "b.kb"], tmp_path / "kb", progress=False)
    rejects = [
        json.loads(line) for line in (tmp_path / "kb" / "rejects.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    assert [(Path(row["file"]).name, row["line"]) for row in rejects] == [("a.kb", 2), ("b.kb", 3)]
    with KnowledgeBase.open(tmp_path / "kb") as kb:
        counts = kb.manifest.counts
    assert (counts.lines, counts.duplicates, counts.rejected, counts.triples) == (4, 1, 1, 4)


def test_lines_go_that_have_all_of_the_values_and_a_wrong_column_is_told(tmp_path):
    rows = {
        "subject": ["甲", "乙", "丙"],
        "predicate": ["年"] * 3,
        "object": ["1", "2", "3"],
        "source": ["a", "a", "b"],
    }
    build_index([rows | {"date": ["2020", "2021", "2020"]}], tmp_path / "kb", progress=False)
    with pytest.raises(InputError, match="no line has a column 'Source'; expected one of these: date, source"):
        delete_triples(tmp_path / "kb", where={"Source": "a"}, progress=False)
    assert delete_triples(tmp_path / "kb", where={"source": "a", "date": "2020"}, progress=False).removed == 1
    with KnowledgeBase.open(tmp_path / "kb") as kb:
        assert [entity.name for entity in kb.entities(range(3))] == ["乙", "丙"]


@pytest.mark.parametrize("sources", ["a.kb", Path("a.kb"), iter([])])
def test_a_source_without_its_list_is_told(tmp_path, sources):
    with pytest.raises(InputError, match="put it into brackets"):
        build_index(sources, tmp_path / "kb", progress=False)
