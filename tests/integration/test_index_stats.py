"""The numbers of an index are those of what it holds, also after updates."""

import json
import shutil

import pytest

from kb_index import KnowledgeBase, build_index, delete_triples, update_index
from kb_index.errors import IndexFolderError, InputError
from kb_index.normalize import plain_name
from kb_index.stats.numbers import AttributeCount, Bin, NameCount, RejectCount, index_stats

LINES = """坛经(佛教经典) ||| 作 者 ||| 惠能
坛经(佛教经典) ||| 朝代 ||| 唐
《坛经》 ||| 类型 ||| 电影
坛经 ||| 导演 ||| 惠 能
惠能 ||| 民 族[1] ||| 汉族
惠能 ||| 民族 ||| 汉
惠能 ||| 职业 ||| 僧人
惠能 ||| 著作 ||| 《坛经》
half a line
NBA ||| 别名 ||| 美国职业篮球联赛
nba(联赛) ||| 国家 ||| 美国
another half
鳞 |||  ||| 无
"""


@pytest.fixture
def index(tmp_path):
    (tmp_path / "a.kb").write_text(LINES, encoding="utf-8")
    build_index([tmp_path / "a.kb"], tmp_path / "kb", progress=False)
    return tmp_path / "kb"


def test_a_fresh_index_is_counted(index, tmp_path):
    stats = index_stats(index, progress=False)
    assert stats.manifest.counts.triples == 10
    assert stats.n_attributes == 9
    assert stats.top_attributes[:2] == (AttributeCount("民族", 2, 0.2), AttributeCount("作者", 1, 0.1))
    assert stats.n_names == 3
    assert stats.top_homonyms == (NameCount("坛经", 3), NameCount("nba", 2))
    assert [group.number for group in stats.homonyms] == [1, 1, 1, 0, 0, 0]
    assert stats.degrees == (Bin(1, 1, 4), Bin(2, 3, 1), Bin(4, 7, 1))
    assert stats.degree_quantiles == {1: 1, 25: 1, 50: 1, 75: 2, 99: 4, 100: 4}
    assert stats.degree_mean == 10 / 6
    assert stats.links == 0.2  # 惠能 and 惠 能
    assert stats.rejects == (
        RejectCount("expected 3 parts separated by |||, got 1", 2, str(tmp_path / "a.kb"), 9, "half a line"),
        RejectCount("the predicate is empty", 1, str(tmp_path / "a.kb"), 13, "鳞 |||  ||| 无"),
    )


def test_an_updated_index_is_counted_like_one_built_at_once(index, tmp_path):
    (tmp_path / "more.kb").write_text(
        "惠能 ||| 朝代 ||| 唐\n神会 ||| 师父 ||| 惠能\n坛经(电影) ||| 类型 ||| 电影\nbroken\n", encoding="utf-8"
    )
    update_index([tmp_path / "more.kb"], index, progress=False)
    delete_triples(index, subjects=["nba(联赛)"], progress=False)
    (tmp_path / "gone.kb").write_text("惠能 ||| 民族 ||| 汉\n坛经(佛教经典) ||| 朝代 ||| 唐\n", encoding="utf-8")
    delete_triples(index, sources=[tmp_path / "gone.kb"], progress=False)
    assert (index / "delta").is_dir()
    kept = [line for line in LINES.splitlines() if not line.startswith("nba") and "民族 ||| 汉" not in line]
    kept = [line for line in kept if "朝代 ||| 唐" not in line]
    added = ["惠能 ||| 朝代 ||| 唐", "神会 ||| 师父 ||| 惠能", "坛经(电影) ||| 类型 ||| 电影"]
    (tmp_path / "all.kb").write_text("\n".join([*kept, *added]), encoding="utf-8")
    build_index([tmp_path / "all.kb"], tmp_path / "fresh", progress=False)
    updated, fresh = index_stats(index, progress=False), index_stats(tmp_path / "fresh", progress=False)
    for name in (
        "n_attributes",
        "top_attributes",
        "n_names",
        "homonyms",
        "top_homonyms",
        "degree_mean",
        "degree_quantiles",
        "degrees",
        "links",
    ):
        assert getattr(updated, name) == getattr(fresh, name), name
    assert updated.manifest.counts.triples == 10
    assert updated.links == 0.3
    assert [update.kind for update in updated.manifest.updates] == ["add", "delete", "delete"]


def test_the_numbers_are_those_of_the_look_ups(index):
    stats = index_stats(index, progress=False)
    with KnowledgeBase.open(index) as kb:
        entities = kb.entities(range(6))
        assert len(kb.triples_of([e.id for e in entities])) == 10
        assert stats.n_names == len({plain_name(e.name) for e in entities})


def test_the_lists_are_as_long_as_asked(index):
    stats = index_stats(index, top=1, progress=False)
    assert len(stats.top_attributes) == len(stats.top_homonyms) == len(stats.rejects) == 1
    with pytest.raises(InputError, match="--top 0: expected at least 1"):
        index_stats(index, top=0)


def test_what_is_no_index_or_damaged_is_told(index, tmp_path):
    with pytest.raises(IndexFolderError, match="no such folder"):
        index_stats(tmp_path / "nothing")
    copy = tmp_path / "copy"
    shutil.copytree(index, copy)
    (copy / "kb.duckdb").write_bytes(b"x")
    with pytest.raises(IndexFolderError, match=r"kb\.duckdb has 1 bytes"):
        index_stats(copy)
    manifest = json.loads((copy / "manifest.json").read_text(encoding="utf-8"))
    del manifest["files"]["kb.duckdb"]
    (copy / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(IndexFolderError, match=r"damaged \(.*\); build it again"):
        index_stats(copy)
