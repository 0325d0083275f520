"""Questions from triples, and made-up entities: what a training program relies on."""

import re
import tomllib
from collections import Counter
from collections.abc import Callable
from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune.generated import plain_attribute, plain_name, questions_from_triples, value_type
from finetune.question_templates import load_templates
from finetune.synthetic import synthetic_entities
from kb_index.errors import InputError
from kb_index.types import Triple

BOOK = "机械设计基础(2010年高等教育出版社出版作者杨可桢)"
TRIPLES = [
    Triple(0, BOOK, "别名", "机械设计基础", 0),
    Triple(1, BOOK, "作者", "杨可桢", 0),
    Triple(2, BOOK, "作者", "程光蕴", 0),
    Triple(3, BOOK, "出版社", "高等教育出版社", 0),
    Triple(4, BOOK, "页 数", "345页", 0),
    Triple(5, "惠能", "职 业[1]", "僧人", 1),
    Triple(6, "惠能", "出生日期", "638年", 1),
    Triple(7, "惠能", "国籍", "唐朝", 1),
    Triple(8, "惠能", "座右铭", "本来无一物", 1),
]


def table_files() -> list[dict[str, object]]:
    folder = files("finetune").joinpath("templates")
    return [tomllib.loads(f.read_text(encoding="utf-8")) for f in folder.iterdir() if f.name.endswith(".toml")]


def test_templates_know_hundreds_of_attributes_in_several_wordings() -> None:
    kinds = load_templates().kinds
    attributes = {attribute for kind in kinds.values() for attribute in kind.questions}
    assert len(attributes) >= 2000
    for kind in kinds.values():
        for attribute, questions in kind.questions.items():
            assert 3 <= len(set(questions)) == len(questions), attribute
            assert all("{s}" in question for question in questions), attribute
            assert all("{s}" in mention for mention in kind.mentions)


def test_most_wordings_do_not_say_the_attributes_name() -> None:
    wordings = [
        (attribute, question)
        for kind in load_templates().kinds.values()
        for attribute, questions in kind.questions.items()
        for question in questions
    ]
    silent = sum(attribute not in question and "{p}" not in question for attribute, question in wordings)
    assert silent / len(wordings) > 0.75


def test_no_attribute_stands_in_two_groups_of_a_kind() -> None:
    for table in table_files():
        for name, kind in table.items():
            if isinstance(kind, dict) and "questions" in kind:
                counts = Counter(attribute for group in kind["questions"] for attribute in group.split("|"))
                assert max(counts.values()) == 1, (name, counts.most_common(1))


def test_template_attributes_are_as_plain_attribute_gives_them() -> None:
    for kind in load_templates().kinds.values():
        assert [a for a in kind.questions if plain_attribute(a) != a] == []


@pytest.mark.parametrize(
    ("subject", "name"),
    [
        (BOOK, "机械设计基础"),
        ("佐治亚（美国州）", "佐治亚"),
        ("坛经(惠能(六祖)的书)", "坛经"),
        ("《坛经》", "坛经"),
        ("《坛经》与《金刚经》", "《坛经》与《金刚经》"),
        ("(无名)", "(无名)"),
        ("F(x)函数", "F(x)函数"),
    ],
)
def test_plain_name(subject: str, name: str) -> None:
    assert plain_name(subject) == name


@pytest.mark.parametrize(
    ("attribute", "value", "expected"),
    [
        ("出生日期", "1971年6月", "time"),
        ("上映", "2013-12-30", "time"),
        ("身高", "178cm", "number"),
        ("编号", "甲乙", "number"),
        ("创始人", "王明", "person"),
        ("发源地", "青海", "place"),
        ("座右铭", "本来无一物", "thing"),
        ("说明", "共有3个部分，第2部分最长，其中第1节讲述了他的前半生", "thing"),
    ],
)
def test_value_type(attribute: str, value: str, expected: str) -> None:
    assert value_type(attribute, value) == expected


def test_questions_name_the_plain_subject_and_carry_their_triple_and_all_answers() -> None:
    examples = questions_from_triples(TRIPLES, 200, seed=1)
    assert len(examples) == 200
    assert {example.triple for example in examples} == {(t.subject, t.predicate, t.object) for t in TRIPLES[1:]}
    for example in examples:
        assert example.triple is not None
        assert plain_name(example.triple[0]) in example.question
        if "(" in example.question:
            assert example.triple[0] in example.question
        assert example.triple[2] in example.answers
    assert 0 < sum("(" in e.question for e in examples) < 20
    authors = [e.answers for e in examples if e.triple is not None and e.triple[1] == "作者"]
    assert set(authors) == {("杨可桢", "程光蕴")}


def test_some_questions_use_another_name_of_their_entity() -> None:
    triples = [*TRIPLES, Triple(9, "惠能", "又名", "慧能大师", 1), Triple(10, "惠能", "又 名", "无", 1)]
    examples = [e for e in questions_from_triples(triples, 200, seed=1) if e.triple and e.triple[0] == "惠能"]
    named, called = ([e for e in examples if name in e.question] for name in ("惠能", "慧能大师"))
    assert len(named) + len(called) == len(examples)
    assert 0.15 < len(called) / len(examples) < 0.4
    assert "又名" not in {e.triple[1] for e in called if e.triple}


def test_other_names_are_single_and_never_the_answer() -> None:
    triples = [
        Triple(i, "长柄柏", p, o, 0)
        for i, (p, o) in enumerate([("别 名", "刺蓼、红兰"), ("别称", "红兰"), ("产地", "云南")])
    ]
    for example in questions_from_triples(triples, 200, seed=1):
        assert example.triple is not None
        assert "、" not in example.question
        if example.triple[1] == "别称":
            assert "红兰" not in example.question


def test_questions_fit_the_kind_of_entity() -> None:
    questions = [e.question for e in questions_from_triples(TRIPLES, 200, seed=1)]
    assert any("《机械设计基础》" in question for question in questions)
    assert not any("《惠能》" in question for question in questions)
    assert any("出生" in question and "出生日期" not in question for question in questions)


def test_questions_and_ids_are_distinct() -> None:
    examples = questions_from_triples(TRIPLES, 150, seed=3)
    assert len({e.question for e in examples}) == len({e.id for e in examples}) == 150


def test_the_same_seed_gives_the_same_questions_and_another_seed_others() -> None:
    first = questions_from_triples(TRIPLES, 50, seed=5)
    assert first == questions_from_triples(TRIPLES, 50, seed=5)
    assert {e.question for e in first} != {e.question for e in questions_from_triples(TRIPLES, 50, seed=6)}


def test_rare_attributes_are_asked_too() -> None:
    many = [Triple(i, f"人物{i}", "性别", "男", i) for i in range(2500)]
    rare = Triple(2500, "人物0", "座右铭", "本来无一物", 0)
    examples = questions_from_triples([*many, rare], 200, seed=0)
    n_rare = sum(e.triple is not None and e.triple[1] == "座右铭" for e in examples)
    assert 1 <= n_rare <= 20  # its share by frequency would be 0.08 of 200


def test_namesakes_do_not_share_answers() -> None:
    triples = [Triple(0, "伯明翰", "国家", "英国", 0), Triple(1, "伯明翰", "国家", "美国", 1)]
    assert {e.answers for e in questions_from_triples(triples, 40, seed=0)} == {("英国",), ("美国",)}


def test_triples_that_nobody_would_ask_give_no_questions() -> None:
    triples = [
        Triple(0, "惠能", "别名", "惠能", 0),
        Triple(1, "惠能", "简介", "长" * 300, 0),
        Triple(2, "惠能", "", "空", 0),
        Triple(3, "惠" * 50, "国籍", "唐朝", 1),
    ]
    assert questions_from_triples(triples, 10, seed=0) == []
    assert questions_from_triples([], 10, seed=0) == []


def test_asking_for_more_than_there_is_ends() -> None:
    examples = questions_from_triples(TRIPLES[-1:], 5000, seed=0)
    assert 50 < len(examples) < 5000


@pytest.mark.parametrize("make", [lambda n: questions_from_triples(TRIPLES, n, 0), lambda n: synthetic_entities(n, 0)])
def test_a_negative_number_is_refused(make: Callable[[int], object]) -> None:
    with pytest.raises(InputError, match=r"n=-1 .*expected 0 or more"):
        make(-1)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(*[st.text(max_size=12)] * 3), max_size=6), st.integers(0, 5))
def test_any_triples_give_questions_without_leftover_slots(parts: list[tuple[str, str, str]], seed: int) -> None:
    triples = [Triple(i, s, p, o, i) for i, (s, p, o) in enumerate(parts)]
    for example in questions_from_triples(triples, 8, seed):
        assert example.triple in [(t.subject, t.predicate, t.object) for t in triples]
        assert example.question.strip()


def test_synthetic_entities_have_numbered_triples_and_no_leftover_slots() -> None:
    entities = synthetic_entities(400, seed=2)
    assert len(entities) == 400
    triples = [triple for entity in entities for triple in entity]
    assert [t.id for t in triples] == list(range(len(triples)))
    assert [entity[0].subject_id for entity in entities] == list(range(400))
    for entity in entities:
        assert 6 <= len(entity) <= 14
        assert len({(t.subject, t.subject_id) for t in entity}) == 1
    text = "\n".join(f"{t.subject} {t.predicate} {t.object}" for t in triples)
    assert not re.search(r"[{}_|]", text)
    assert all(t.object.strip() for t in triples)


def test_synthetic_values_are_varied_and_of_the_right_type() -> None:
    triples = [t for entity in synthetic_entities(3000, seed=4) for t in entity]
    isbns = {t.object for t in triples if t.predicate == "ISBN"}
    assert len(isbns) > 30
    assert all(re.fullmatch(r"[\d-]{10,17}", isbn) for isbn in isbns)
    births = {re.sub(r"\d+", "0", t.object) for t in triples if t.predicate == "出生日期"}
    assert {"0年0月0日", "0年0月", "0-0-0", "0年"} <= births
    assert len({t.predicate for t in triples}) > 400
    assert sum("(" in t.subject for t in triples) / len(triples) == pytest.approx(0.25, abs=0.05)


def test_synthetic_seeds_can_be_held_out() -> None:
    first, second = (
        {(t.subject, t.predicate, t.object) for entity in synthetic_entities(500, seed) for t in entity}
        for seed in (0, 1)
    )
    assert first == {(t.subject, t.predicate, t.object) for entity in synthetic_entities(500, 0) for t in entity}
    assert len(first & second) / len(first) < 0.01


def test_questions_can_be_asked_about_every_synthetic_kind() -> None:
    triples = [t for entity in synthetic_entities(500, seed=9) for t in entity]
    examples = questions_from_triples(triples, 1000, seed=9)
    assert len(examples) == 1000
    assert len({plain_attribute(e.triple[1]) for e in examples if e.triple}) > 250
