"""What the numbers of an index look like, and that SQL takes descriptions off names as Python does."""

import json
import re
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kb_index.errors import InputError, MissingExtraError
from kb_index.fonts import label_font
from kb_index.manifest import Counts, EncoderInfo, FileInfo, Manifest, UpdateInfo
from kb_index.normalize import plain_name
from kb_index.progress import StageCost
from kb_index.readers.sources import SourceFile
from kb_index.stats.cells import aligned, clipped, printable, width
from kb_index.stats.forms import stats_to_json, stats_to_text
from kb_index.stats.measures import LETTERS, MARKS, PLAIN_FORM
from kb_index.stats.numbers import AttributeCount, Bin, IndexStats, NameCount, RejectCount
from kb_index.stats.plot import stats_figure, write_stats_plot

MANIFEST = Manifest(
    schema_version=2,
    created="2026-01-02T03:04:05+00:00",
    kbqa_version="1.2.3",
    counts=Counts(lines=1012, triples=1000, duplicates=10, rejected=2, entities=300, attributes=40, aliases=350),
    sources=(SourceFile("a.kb", "0" * 64, 12_345_678),),
    encoder=EncoderInfo("char-static", 128),
    options={"seed": 0},
    files={
        "facts/names.txt": FileInfo(3_000_000, "", ""),
        "facts/first.npy": FileInfo(500_000, "", ""),
        "kb.duckdb": FileInfo(2_000_000_000, "", ""),
    },
    stages={"read": StageCost(1.25, 300_000_000), "store": StageCost(2.0, 1_500_000_000)},
)
STATS = IndexStats(
    path="kb",
    manifest=MANIFEST,
    files=MANIFEST.files,
    n_attributes=38,
    top_attributes=(AttributeCount("别名", 250, 0.25), AttributeCount("birthplace", 1, 0.001)),
    n_names=290,
    homonyms=(Bin(1, 1, 280), Bin(2, 2, 10), Bin(3, 3, 0), Bin(4, 5, 0), Bin(6, 10, 0), Bin(11, None, 0)),
    top_homonyms=(NameCount("高等数学", 2), NameCount("nba", 2)),
    degree_mean=10 / 3,
    degree_quantiles={1: 1, 25: 2, 50: 3, 75: 4, 99: 9, 100: 15},
    degrees=(Bin(1, 1, 50), Bin(2, 3, 150), Bin(4, 7, 90), Bin(8, 15, 10)),
    links=0.125,
    rejects=(RejectCount("the object is empty", 2, "a.kb", 7, "a ||| b ||| c |||"),),
)
UPDATE = UpdateInfo(
    created="2026-02-03T00:00:00+00:00",
    kbqa_version="1.2.3",
    kind="add",
    sources=(SourceFile("new.kb", "1" * 64, 900),),
    lines=6,
    rejected=1,
    added=5,
    removed=0,
    restated=0,
    stages={"read": StageCost(0.5, 1)},
)

TEXT = """\
kb: 1,000 triples of 300 entities
  attributes     40  as written; 38 normalised
  aliases       350  of the entities; 290 names without description
  links       12.5%  of the triples have an object that is an entity's name
  lines       1,012  of the build; 10 duplicate, 2 rejected

Built 2026-01-02T03:04:05+00:00 by kbqa 1.2.3, encoder char-static (dim 128)
  a.kb  12.3 MB
  read   1.2 s  300.0 MB peak
  store  2.0 s    1.5 GB peak
  all    3.2 s    1.5 GB peak

On disk 2.0 GB
  kb.duckdb  2.0 GB
  facts/     3.5 MB

Attributes with the most triples, of 38
  别名        250  25.00%
  birthplace    1   0.10%

Entities that share a name
     1  280 names  96.55%
     2   10 names   3.45%
     3    0 names   0.00%
   4-5    0 names   0.00%
  6-10    0 names   0.00%
   >10    0 names   0.00%
Names of the most entities
  高等数学  2
  nba       2

Triples of an entity: 3.3 in the mean
  share of entities  1 %  25 %  50 %  75 %  99 %  all
  triples at most      1     2     3     4     9   15
     1   50 entities  16.67%
   2-3  150 entities  50.00%
   4-7   90 entities  30.00%
  8-15   10 entities   3.33%

Rejected lines of the build and the last update, and the first of each reason
  2 x the object is empty
      a.kb:7
      a ||| b ||| c |||"""


def test_the_text_lines_up_in_the_cells_of_a_terminal():
    assert stats_to_text(STATS) == TEXT


def test_the_last_updates_are_listed():
    text = stats_to_text(replace(STATS, manifest=replace(MANIFEST, updates=(UPDATE,) * 12)))
    line = "  2026-02-03T00:00:00+00:00  add  +5  -0  0.5 s\n"
    assert "\nUpdates: 12, the last of which:\n" + line * 10 + "\n" in text


def test_what_the_data_holds_cannot_steer_the_terminal_and_long_texts_are_cut():
    nasty = "\x1b[2J\x9b31m\u202e" + "很" * 100
    stats = replace(
        STATS,
        path="\x1bkb",
        top_attributes=(AttributeCount(nasty, 1, 0.1),),
        top_homonyms=(NameCount(nasty, 2),),
        rejects=(RejectCount(nasty, 1, "a\x1b.kb", 1, nasty),),
    )
    text = stats_to_text(stats)
    assert all(c.isprintable() or c == "\n" for c in text)
    assert max(map(width, text.split("\n\n", 3)[3].splitlines())) <= 80
    form = stats_to_json(stats)
    assert form.isprintable()
    assert json.loads(form)["top_attributes"] == [{"name": nasty, "triples": 1, "share": 0.1}]


def test_the_json_object_has_all_numbers():
    content = json.loads(stats_to_json(replace(STATS, manifest=replace(MANIFEST, updates=(UPDATE,)))))
    assert content["counts"] == {
        "lines": 1012,
        "triples": 1000,
        "duplicates": 10,
        "rejected": 2,
        "entities": 300,
        "attributes": 40,
        "aliases": 350,
        "normalized_attributes": 38,
        "names": 290,
    }
    assert content["sources"] == [{"path": "a.kb", "sha256": "0" * 64, "bytes": 12_345_678}]
    assert content["bytes"] == {"facts/names.txt": 3_000_000, "facts/first.npy": 500_000, "kb.duckdb": 2_000_000_000}
    assert content["stages"]["read"] == {"seconds": 1.25, "peak_bytes": 300_000_000}
    assert content["updates"][0]["kind"] == "add"
    assert content["updates"][0]["sources"] == [{"path": "new.kb", "sha256": "1" * 64, "bytes": 900}]
    assert content["homonyms"][-1] == {"least": 11, "most": None, "number": 0}
    assert content["triples_per_entity"]["quantiles"] == {"1": 1, "25": 2, "50": 3, "75": 4, "99": 9, "100": 15}
    assert content["rejects"] == [
        {"reason": "the object is empty", "lines": 2, "file": "a.kb", "line": 7, "text": "a ||| b ||| c |||"}
    ]


@given(st.text(max_size=20), st.integers(1, 12))
def test_a_clipped_text_keeps_to_its_cells(text, cells):
    assert width(clipped(printable(text), cells)) <= cells


@given(st.lists(st.tuples(st.text("a中é1", max_size=5), st.text("a中1", max_size=5)), min_size=1))
def test_columns_start_in_the_same_cell(rows):
    lines = aligned([[*row, "|"] for row in rows], [False, True, False])
    assert len({width(line) for line in lines}) == 1


@given(st.text('aZ9坛经龥㐀 ·.-&!:,+()（）《》“”"[]Ａ\u3000éıİſK', max_size=12))
@example("机械设计基础(2010年高等教育出版社出版作者杨可桢)")
@example("《坛经》（惠能(六祖)的书）")
@example("NBA (篮球")
@example("a b（c)")
@example("a()")
def test_sql_makes_the_same_plain_names_as_python_or_leaves_them_to_it(name):
    ((form,),) = duckdb.execute(f"SELECT {PLAIN_FORM} FROM (SELECT $1::VARCHAR AS name)", [name]).fetchall()
    assert form in ("", plain_name(name))


def test_every_character_that_sql_takes_is_normalised_as_by_python():
    taken = [c for c in map(chr, range(0x10000)) if re.match(f"[{LETTERS}{MARKS}]", c)]
    assert len(taken) > 38_000
    sql = f"SELECT name, {PLAIN_FORM} FROM (SELECT unnest($1::VARCHAR[]) AS name)"
    wrong = [
        name for name, form in duckdb.execute(sql, [[f"中{c}文" for c in taken]]).fetchall() if form != plain_name(name)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "name",
    ["坛经", "坛经(佛教经典)", "Vitamin C（维生素)", "安娜·卡列尼娜", "NBA", "Élan", "聂锋[《琅琊榜》中的人物]", "Жук"],
)
def test_sql_does_the_common_names_itself(name):
    ((form,),) = duckdb.execute(f"SELECT {PLAIN_FORM} FROM (SELECT $1::VARCHAR AS name)", [name]).fetchall()
    assert form == plain_name(name)


@pytest.mark.parametrize(("name", "starts"), [("a.png", b"\x89PNG"), ("a.SVG", b"<?xml")])
def test_a_plot_is_written_in_the_format_of_its_ending(tmp_path, name, starts):
    write_stats_plot(STATS, tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(starts)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_another_ending_is_an_error(tmp_path):
    with pytest.raises(InputError, match=r"plot 'a\.pdf': ending '\.pdf', expected \.png or \.svg"):
        write_stats_plot(STATS, Path("a.pdf"))


def test_the_plot_shows_chinese_labels():
    _, attributes, _ = stats_figure(STATS).axes
    assert [label.get_text() for label in attributes.get_yticklabels()] == ["别名", "birthplace"]


def test_an_index_of_nothing_can_be_drawn_and_told():
    empty = replace(STATS, top_attributes=(), top_homonyms=(), degrees=(), n_names=0, n_attributes=0, rejects=())
    assert len(stats_figure(empty).axes) == 3
    assert "Attributes" not in stats_to_text(empty)


def test_formulas_and_characters_that_no_font_has_are_drawn_as_they_are(tmp_path):
    odd = "$\\frac$ \U000e0100\U0001f9ff字"
    write_stats_plot(replace(STATS, top_attributes=(AttributeCount(odd, 1, 0.1),)), tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 10_000


def test_a_font_has_the_characters_that_it_says_and_boxes_for_others():
    font = label_font("中文abc")
    assert font.label("中文abc") == "中文abc"
    assert font.label("a\U000f0000") == "a□"


def test_a_missing_matplotlib_is_told(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'kbqa\[eval\]'"):
        stats_figure(STATS)
