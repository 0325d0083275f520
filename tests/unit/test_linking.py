"""Names in other spellings than the knowledge base's, found in questions."""

import pytest

from kb_index import KnowledgeBase, build_index
from kbqa_agent.linking import link, link_many
from kbqa_agent.scripts import other_scripts

NAMES = (
    "独立号航空母舰", "慈氏塔", "坛经(佛教经典)", "坛经", "龘", "紅樓夢", "红楼梦", "香港科技大學", "史蒂芬·霍金",
    "微信 for Windows", "请问", "知道", "Blade Runner", "Ⅱ型糖尿病", "的首都",
)  # fmt: skip


@pytest.fixture(scope="module")
def kb(tmp_path_factory):
    folder = tmp_path_factory.mktemp("linking")
    lines = "".join(f"{name} ||| {attribute} ||| 1\n" for name in NAMES for attribute in ("类别", "类别数"))
    (folder / "kb.txt").write_text(lines, encoding="utf-8")
    build_index([folder / "kb.txt"], folder / "index", progress=False)
    with KnowledgeBase.open(folder / "index") as opened:
        yield opened


def linked(kb, question):
    return {(m.text, e.name) for m in link(kb, question) for e in m.entities}


@pytest.mark.parametrize(
    ("question", "text", "name"),
    [
        ("请问独立号航母的续航力怎么样？", "独立号航母", "独立号航空母舰"),
        ("你知道慈式塔是在哪一年重修的吗？", "慈式塔", "慈氏塔"),
        ("《慈式塔》在哪里", "慈式塔", "慈氏塔"),
        ("史蒂芬霍金是谁的老师？", "史蒂芬霍金", "史蒂芬·霍金"),
        ("Who directed Blade Runer?", "Blade Runer", "Blade Runner"),
        ("香港科技大学在哪里", "香港科技大学", "香港科技大學"),
        ("紅樓夢的作者是誰", "紅樓夢", "红楼梦"),
        ("红楼梦的作者是谁", "红楼梦", "紅樓夢"),
        ("龘字有几画？", "龘", "龘"),
        ("请问龘的部首是什么", "龘", "龘"),
        ("微信for Windows是哪个公司的", "微信for Windows", "微信 for Windows"),
        ("慈式塔类别数是多少", "慈式塔", "慈氏塔"),
        ("ⅱ型糖尿病怎么治", "ⅱ型糖尿病", "Ⅱ型糖尿病"),
    ],
)
def test_a_name_is_linked_in_another_spelling(kb, question, text, name):
    assert (text, name) in linked(kb, question)


def test_a_name_with_its_description_is_meant_as_it_stands(kb):
    assert linked(kb, "坛经(佛教经典)是谁写的？") == {("坛经(佛教经典)", "坛经(佛教经典)")}
    assert linked(kb, "坛经是谁写的？") == {("坛经", "坛经(佛教经典)"), ("坛经", "坛经")}


def test_a_known_name_where_a_name_should_be_brings_no_similar_ones(kb):
    assert linked(kb, "慈氏塔是哪年重修的") == {("慈氏塔", "慈氏塔")}


def test_a_similar_name_comes_after_the_exact_ones(kb):
    assert [m.text for m in link(kb, "请问独立号航母的首都在哪")][-1] == "独立号航母"


def test_a_name_has_to_be_more_like_the_span_than_the_known_name_in_it(kb):
    assert linked(kb, "慈氏塔上有几个人") == {("慈氏塔", "慈氏塔")}


def test_a_known_name_before_an_attribute_brings_no_similar_ones(kb):
    assert linked(kb, "红楼梦类别是什么") == {("红楼梦", "红楼梦"), ("红楼梦", "紅樓夢")}


def test_a_question_that_names_nothing_known_has_no_mention(kb):
    assert link(kb, "珠穆朗玛峰有多高") == ()
    assert link(kb, "") == ()


def test_more_homonyms_are_linked_where_a_name_should_begin(tmp_path):
    lines = "".join(f"{name}({n}) ||| 类别 ||| {n}\n" for name in ("城关镇", "公司") for n in range(60))
    (tmp_path / "kb.txt").write_text(lines, encoding="utf-8")
    build_index([tmp_path / "kb.txt"], tmp_path / "index", progress=False)
    with KnowledgeBase.open(tmp_path / "index") as kb:
        linked = {m.text: len(m.entities) for m in link(kb, "城关镇有哪些公司")}
    assert linked == {"城关镇": 60, "公司": 50}


def test_many_questions_are_linked_as_each_alone(kb):
    questions = ["你知道慈式塔是哪年重修的吗？", "红楼梦的作者是谁", "", "龘字有几画？"]
    assert link_many(kb, questions) == [link(kb, question) for question in questions]


def test_a_text_that_is_the_same_in_both_scripts_has_no_other():
    assert other_scripts("Hamlet 1600") == []
    assert other_scripts("人口") == []
    assert other_scripts("头发") == ["頭髮"]
