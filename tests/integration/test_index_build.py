"""Files become an index that answers look-ups, and is the same on every build."""

import json
import threading
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from kb_index import KnowledgeBase, NameMatch, Triple, build_index, update_index
from kb_index.errors import IndexFolderError
from kb_index.manifest import Counts, EncoderInfo
from kb_index.progress import Stages

LINES = """坛经(佛教经典) ||| 别名 ||| 六祖坛经、Platform Sutra
坛经(佛教经典) ||| 作 者 ||| 惠能
坛经(佛教经典) ||| 朝代 ||| 唐

惠能 ||| 别名 ||| 六祖
half a line
坛经 ||| 类型 ||| 电影
惠能 ||| 民 族[1] ||| 汉族
惠能 ||| 职业： ||| 僧人
坛经(佛教经典) ||| 朝代 ||| 唐
坛经 ||| 导演 ||| 惠 能
鳞 ||| 拼音 ||| lín
鳞 |||  ||| 无
"""
MORE = "NBA ||| 中文名 ||| 美国职业篮球联赛\r\n坛经(佛教经典)|||语言|||汉语|||文言\r\n"


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("sources")
    (folder / "a.kb").write_text(LINES, encoding="utf-8")
    (folder / "b.kb").write_bytes(MORE.encode())
    return [folder / "a.kb", folder / "b.kb"]


@pytest.fixture(scope="module")
def index(sources: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("index") / "kb"
    build_index(sources, out, progress=False)
    return out


@pytest.fixture(scope="module")
def kb(index: Path):
    with KnowledgeBase.open(index) as kb:
        yield kb


def test_the_manifest_counts_and_describes_everything(kb, sources):
    assert kb.manifest.counts == Counts(
        lines=14, triples=11, duplicates=1, rejected=2, entities=5, attributes=10, aliases=11
    )
    assert kb.manifest.encoder == EncoderInfo("char-static", 64)
    assert [(source.path, source.bytes) for source in kb.manifest.sources] == [
        (str(path), path.stat().st_size) for path in sources
    ]
    assert kb.manifest.options == {"seed": 0}
    assert list(kb.manifest.stages) == ["read", "store", "facts", "names", "encoder", "vectors", "checksum"]
    assert all(cost.seconds > 0 and cost.peak_bytes > 10_000_000 for cost in kb.manifest.stages.values())
    assert {"kb.duckdb", "names.marisa", "entities.faiss", "attributes.faiss", "rejects.jsonl"} < set(kb.manifest.files)


def test_rejected_lines_can_be_found_in_their_file(index, sources):
    rows = [json.loads(line) for line in (index / "rejects.jsonl").read_text(encoding="utf-8").splitlines()]
    assert rows == [
        {
            "file": str(sources[0]),
            "line": 6,
            "reason": "expected 3 parts separated by |||, got 1",
            "text": "half a line",
        },
        {"file": str(sources[0]), "line": 13, "reason": "the predicate is empty", "text": "鳞 |||  ||| 无"},
    ]


def test_entities_are_numbered_as_they_appear_and_have_all_their_aliases(kb):
    assert [entity.name for entity in kb.entities(range(9))] == ["坛经(佛教经典)", "惠能", "坛经", "鳞", "NBA"]
    assert [entity.id for entity in kb.entities_named("坛 经")] == [0, 2]
    aliases = {
        "坛经（佛教经典）": 0,
        "六祖坛经": 0,
        "platform sutra": 0,
        "六祖": 1,
        "ＮＢＡ": 4,
        "美国职业篮球联赛": 4,
    }
    for name, entity_id in aliases.items():
        assert [entity.id for entity in kb.entities_named(name)] == [entity_id]
    assert kb.entities_named("无此人") == []


def test_triples_are_grouped_by_subject_in_the_order_of_the_files(kb):
    assert [triple[1:4] for triple in kb.triples_of([1, 0])] == [
        ("坛经(佛教经典)", "别名", "六祖坛经、Platform Sutra"),
        ("坛经(佛教经典)", "作 者", "惠能"),
        ("坛经(佛教经典)", "朝代", "唐"),
        ("坛经(佛教经典)", "语言", "汉语|||文言"),
        ("惠能", "别名", "六祖"),
        ("惠能", "民 族[1]", "汉族"),
        ("惠能", "职业：", "僧人"),
    ]
    assert [triple.id for triple in kb.triples_of(range(5))] == list(range(11))
    assert kb.triples_of([3]) == [Triple(9, "鳞", "拼音", "lín", 3)]
    assert kb.triples_of([]) == []
    assert kb.triples_of([99, -1]) == []


def test_triples_are_found_by_id_and_by_their_object(kb):
    assert [triple.object for triple in kb.triples_by_id([9, 2, 9, 77])] == ["唐", "lín"]
    assert [(triple.subject, triple.predicate) for triple in kb.triples_about("惠能")] == [
        ("坛经(佛教经典)", "作 者"),
        ("坛经", "导演"),
    ]
    assert len(kb.triples_about("惠能", limit=1)) == 1
    assert [triple.id for triple in kb.triples_about("汉 族")] == [5]
    assert kb.triples_about("宋") == []
    assert kb.triples_about("六祖坛经") == []
    assert [triple.id for triple in kb.triples_about("六祖坛经", listed=True)] == [0]
    assert len(kb.triples_about("惠能", listed=True)) == 2


def test_mentions_point_into_the_question(kb):
    question = "《坛 经》是Ｐlatform sutra吗？"
    assert kb.mentions(question) == [NameMatch(1, 4, (0, 2)), NameMatch(6, 20, (0,))]
    assert question[6:20] == "Ｐlatform sutra"


def test_attributes_are_counted_however_they_are_written(kb):
    frequency = kb.attribute_frequency(["别名", "作者", "民族", "职 业", "没有"])
    assert frequency.tolist() == [2, 1, 1, 1, 0]
    assert frequency.dtype == np.int64
    assert kb.attribute_frequency([]).shape == (0,)


def test_misspelt_names_and_attributes_are_found(kb):
    [people, books] = kb.similar_entities(["慧能", "坛井"], 1)
    assert [match.entity.name for match in people] == ["惠能"]
    assert [match.entity.name for match in books] == ["坛经(佛教经典)", "坛经"]
    assert 0.3 < books[0].score < 1
    assert books[0].score == books[1].score
    [[attribute]] = kb.similar_attributes(["职务"], 1)
    assert (attribute.name, attribute.score > 0.3) == ("职业", True)
    assert kb.similar_entities([], 3) == []


def test_names_with_a_prefix(kb):
    assert kb.names_with_prefix("坛", 5) == ["坛经(佛教经典)", "坛经"]
    assert kb.names_with_prefix("nb", 5) == ["NBA"]
    assert len(kb.names_with_prefix("坛", 1)) == 1


def test_many_ids_at_once_give_the_same_as_few(kb):
    many = list(range(2000))
    assert kb.triples_of(many) == kb.triples_of(range(5))
    assert kb.entities(many) == kb.entities(range(5))


def test_threads_share_an_open_index(kb):
    failures = []

    def look_up(entity_id: int) -> None:
        for _ in range(30):
            triples = kb.triples_of([entity_id])
            names = {triple.subject for triple in triples}
            if names != {kb.entities([entity_id])[0].name} or not kb.similar_entities(["坛经"], 1)[0]:
                failures.append((entity_id, names))

    threads = [threading.Thread(target=look_up, args=(i % 5,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_the_same_sources_give_the_same_index(index, sources, tmp_path):
    build_index(sources, tmp_path / "kb", progress=False)
    for name in ("names.marisa", "entities.faiss", "attributes.faiss", "encoder/model.safetensors", "rejects.jsonl"):
        assert (tmp_path / "kb" / name).read_bytes() == (index / name).read_bytes()
    with KnowledgeBase.open(tmp_path / "kb") as again, KnowledgeBase.open(index) as first:
        assert again.triples_by_id(range(20)) == first.triples_by_id(range(20))
        assert len(first.triples_by_id(range(20))) == 11


def test_another_seed_gives_other_vectors(index, sources, tmp_path):
    build_index(sources, tmp_path / "kb", seed=1, progress=False)
    assert (tmp_path / "kb" / "entities.faiss").read_bytes() != (index / "entities.faiss").read_bytes()


def test_another_encoder_is_kept_inside_the_index(index, sources, tmp_path):
    import shutil

    shutil.copytree(index / "encoder", tmp_path / "mine")
    manifest = build_index(sources, tmp_path / "kb", encoder=str(tmp_path / "mine"), progress=False)
    assert manifest.encoder == EncoderInfo(str(tmp_path / "mine"), 64)
    shutil.rmtree(tmp_path / "mine")
    with KnowledgeBase.open(tmp_path / "kb") as kb:
        assert kb.similar_entities(["慧能"], 1)[0][0].entity.name == "惠能"


def test_an_index_that_is_open_while_it_is_replaced_does_not_mix_old_and_new(sources, tmp_path):
    out = tmp_path / "kb"
    build_index([sources[0]], out, progress=False)
    (out / "ranker").mkdir()
    with KnowledgeBase.open(out) as old:
        build_index([sources[1]], out, progress=False)
        assert not (out / "ranker").exists()
        with KnowledgeBase.open(out) as new:
            assert [entity.name for entity in new.entities([0])] == ["NBA"]
            assert new.similar_entities(["NBX"], 1)[0][0].entity.name == "NBA"
        assert [entity.name for entity in old.entities([1])] == ["惠能"]
        with pytest.raises(IndexFolderError, match=f"index '{out}': replaced since it was opened; reopen it"):
            old.similar_entities(["慧能"], 1)
        assert old.reopen()
        assert old.similar_entities(["NBX"], 1)[0][0].entity.name == "NBA"
        assert not old.reopen()


def test_an_open_index_names_its_folder_when_an_update_has_replaced_its_later_layer(sources, tmp_path):
    index = tmp_path / "kb"
    build_index(sources, index, progress=False)
    update_index([[("新书", "作者", "法海")]], index, progress=False)
    with KnowledgeBase.open(index) as old:
        update_index([[("新书", "朝代", "唐")]], index, progress=False)
        with pytest.raises(IndexFolderError, match=f"index '{index}': replaced since it was opened"):
            old.similar_entities(["新书"], 1)


def test_progress_is_shown_on_a_terminal_only(sources, tmp_path, capfd):
    build_index(sources, tmp_path / "kb")
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


class Bar:
    def __init__(self, total: int) -> None:
        self.total, self.done = total, 0

    def update(self, n: int) -> None:
        self.done += n


def test_progress_reaches_the_end_of_every_stage(sources, tmp_path, monkeypatch):
    bars = {}

    @contextmanager
    def stage(self, name, total, unit):
        bars[name] = Bar(total)
        yield bars[name]

    monkeypatch.setattr(Stages, "stage", stage)
    build_index(sources, tmp_path / "kb", progress=False)
    assert {name: (bar.done, bar.total) for name, bar in bars.items()} == {
        "read": (2 * sum(path.stat().st_size for path in sources),) * 2,
        "store": (7, 7),
        "facts": (2, 2),
        "names": (1, 1),
        "encoder": (1, 1),
        "vectors": (14, 14),
        "checksum": (1, 1),
    }
