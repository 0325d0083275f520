"""What follow-up questions may mean, how replies choose, and dialogues that are saved."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb_index.errors import DialogueFileError
from kb_index.types import Entity, Triple
from kbqa_agent.anaphora import find, substituted
from kbqa_agent.choosing import by_number
from kbqa_agent.dialogue import MAX_TURNS, Dialogue
from kbqa_agent.dialogue_file import turns_from_json, turns_to_json
from kbqa_agent.types import Answer, Candidate, EntityMention, Turn


def answered(question: str, name: str, entity_id: int) -> Turn:
    start = question.index(name)
    mention = EntityMention(name, start, start + len(name), (Entity(entity_id, name),))
    candidate = Candidate("答案", 0.9, (Triple(0, name, "属性", "答案", entity_id),))
    return Turn(question, Answer(question, "答案", 0.9, None, (candidate,), (mention,)), question)


@pytest.mark.parametrize(
    ("question", "name", "resolved"),
    [
        ("他的妻子是谁？", "姚明", "姚明的妻子是谁？"),
        ("这本书是什么时候出版的？", "《坛经》", "《坛经》是什么时候出版的？"),
        ("该公司总部在哪", "华为", "华为总部在哪"),
        ("那里有多少人", "上海", "上海有多少人"),
        ("这位作者的妻子是谁", "曹雪芹", "曹雪芹的妻子是谁"),
        ("此书的译者呢", "忏悔录", "忏悔录的译者呢"),
        ("When was its author born?", "Emma", "When was Emma's author born?"),
        ("Who directed that film?", "Jaws", "Who directed Jaws?"),
        ("Where was she born?", "Ada", "Where was Ada born?"),
    ],
)
def test_words_that_point_back_are_replaced(question: str, name: str, resolved: str) -> None:
    assert substituted(question, find(question), name) == resolved


@pytest.mark.parametrize(
    "question",
    [
        "马耳他的首都是哪里？",
        "其他国家有哪些？",
        "吉他是谁发明的？",
        "他加禄语是什么语言？",
        "《他是龙》是谁导演的？",
        "那人口呢？",
        "那出版社呢",
        "那时候谁是皇帝",
        "那个时候谁是皇帝",
        "这么高的山叫什么",
        "日本国的首都",
        "这些书是谁写的",
    ],
)
def test_a_pronoun_inside_a_word_is_none(question: str) -> None:
    assert find(question) == []


def test_a_word_that_was_said_points_back() -> None:
    assert [question_part(a, "这个时区跟UTC差多少") for a in find("这个时区跟UTC差多少", ["所在时区"])] == ["这个时区"]
    assert [question_part(a, "这个时区跟UTC差多少") for a in find("这个时区跟UTC差多少")] == ["这个"]


def question_part(anaphor, question: str) -> str:
    return question[anaphor.start : anaphor.end]


@pytest.mark.parametrize(
    ("reply", "n", "place"),
    [
        ("第二个", 3, 1),
        ("2", 3, 1),
        ("我要第三本", 3, 2),
        ("前者", 2, 0),
        ("后者", 2, 1),
        ("最后一个", 4, 3),
        ("the second one", 2, 1),
        ("The latter", 2, 1),
        ("第四个", 3, None),
        ("第二任妻子是谁", 3, None),
        ("那作者呢", 3, None),
        ("2010年那本", 3, None),
        ("第一", 0, None),
    ],
)
def test_a_reply_chooses_by_its_place(reply: str, n: int, place: int | None) -> None:
    assert by_number(reply, n) == place


@given(st.text(max_size=30), st.integers(0, 9))
def test_no_reply_chooses_what_is_not_listed(reply: str, n: int) -> None:
    assert by_number(reply, n) in {None, *range(n)}


@given(st.text(max_size=60), st.text(min_size=1, max_size=10))
def test_what_points_back_lies_in_order_and_goes_away(question: str, name: str) -> None:
    found = find(question)
    assert all(a.end <= b.start for a, b in pairwise(found))
    assert all(0 <= a.start < a.end <= len(question) for a in found)
    grown = sum(len(name) + 2 * a.is_possessive - (a.end - a.start) for a in found)
    assert len(substituted(question, found, name)) == len(question) + grown


def test_history_is_bounded() -> None:
    dialogue = Dialogue()
    for _ in range(10_000):
        dialogue.add(answered("法国的首都是哪里？", "法国", 3))
    assert len(dialogue.turns) == MAX_TURNS


def test_the_last_turn_is_taken_back() -> None:
    dialogue = Dialogue([answered("法国的首都是哪里？", "法国", 3), answered("德国的首都是哪里？", "德国", 4)])
    undone = dialogue.undo()
    assert undone is not None
    assert undone.question == "德国的首都是哪里？"
    assert [t.question for t in dialogue.turns] == ["法国的首都是哪里？"]
    assert Dialogue().undo() is None


texts = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=20)
entities = st.builds(Entity, st.integers(0), texts, st.none() | texts)
mentions = st.builds(
    EntityMention, texts, st.integers(0, 9), st.integers(0, 9), st.lists(entities, max_size=3).map(tuple)
)
triples = st.builds(
    Triple,
    st.integers(0),
    texts,
    texts,
    texts,
    st.integers(0),
    st.lists(st.dictionaries(texts, texts), max_size=2).map(tuple),
)
candidates = st.builds(Candidate, texts, st.floats(0, 1), st.lists(triples, max_size=3).map(tuple))
answers = st.builds(
    Answer,
    question=texts,
    text=st.none() | texts,
    confidence=st.floats(0, 1),
    abstained=st.sampled_from([None, "ambiguous", "no_entity"]),
    candidates=st.lists(candidates, max_size=3).map(tuple),
    mentions=st.lists(mentions, max_size=2).map(tuple),
    timings=st.just({}),
    supported=st.booleans(),
    values=st.lists(texts, max_size=2).map(tuple),
    meant=st.none() | entities,
)


@given(st.lists(st.builds(Turn, texts, answers, texts), max_size=3))
def test_a_saved_dialogue_comes_back_as_it_was(turns: list[Turn]) -> None:
    assert turns_from_json(json.loads(json.dumps(turns_to_json(turns)))) == turns


def test_a_dialogue_is_saved_over_a_dialogue_only(tmp_path: Path) -> None:
    dialogue, notes = Dialogue([answered("法国的首都是哪里？", "法国", 3)]), tmp_path / "notes.txt"
    dialogue.save(tmp_path / "saved.json")
    dialogue.save(tmp_path / "saved.json")
    assert Dialogue.load(tmp_path / "saved.json").turns == dialogue.turns
    notes.write_text("my notes", encoding="utf-8")
    with pytest.raises(DialogueFileError, match=r"notes\.txt"):
        dialogue.save(notes)
    assert notes.read_text(encoding="utf-8") == "my notes"


def test_a_terminal_obeys_nothing_that_a_file_holds(tmp_path: Path) -> None:
    path = tmp_path / "saved.json"
    path.write_text(saved().replace("\\u7b54\\u6848", "\\u001b[31m"), encoding="utf-8")
    answer = Dialogue.load(path).turns[0].answer
    assert (answer.text, answer.candidates[0].answer) == (" [31m", " [31m")


def saved(**changes: object) -> str:
    return json.dumps(turns_to_json([answered("法国的首都是哪里？", "法国", 3)]) | changes)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda: "", "cannot be read"),
        (lambda: "[1, 2]", "it is no dialogue"),
        (lambda: saved(format=99), "its format is 99, expected 1"),
        (lambda: saved(turns=[{"said": "x"}]), "it is damaged"),
        (lambda: saved(turns=3), "it is damaged"),
        (lambda: saved().replace('"text": "\\u7b54\\u6848"', '"text": 5'), "it is damaged"),
        (lambda: saved().replace('"abstained": null', '"abstained": "tired"'), "it is damaged"),
        (lambda: saved().replace("[3, ", '["x", '), "it is damaged"),
        (lambda: saved().replace('"\\u6cd5\\u56fd"', "null"), "it is damaged"),
        (lambda: "[" * 100_000, "cannot be read"),
    ],
)
def test_what_is_no_dialogue_is_refused_in_one_line(tmp_path: Path, content: Callable[[], str], message: str) -> None:
    path = tmp_path / "saved.json"
    path.write_text(content(), encoding="utf-8")
    with pytest.raises(DialogueFileError, match=message) as caught:
        Dialogue.load(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(DialogueFileError, match="No such file"):
        Dialogue.load(tmp_path / "none.json")
