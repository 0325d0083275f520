"""Training rows: which triples a prompt holds, and which tokens the loss counts."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.config import SFTConfig
from finetune.data import (
    IGNORED,
    RowOptions,
    TokenRow,
    collate,
    encode_rows,
    length_grouped,
    rows_from_questions,
    split_validation,
)
from kb_index.errors import InputError
from kb_index.types import Triple
from kbqa_agent.prompts import UNKNOWN
from kbqa_agent.types import QAExample

END = 0
FACTS = [Triple(i, "坛经", f"属性{i}", f"值{i}", 7) for i in range(12)]
QUESTION = QAExample("1", "坛经的属性5是什么？", ("值5",), ("坛经", "属性5", "值5"))
ALWAYS = RowOptions(min_triples=4, max_triples=4, unanswerable_share=0.0)


class CharacterTokenizer:
    eos_token_id = END

    def __call__(
        self, text: str, add_special_tokens: bool = True, split_special_tokens: bool = False
    ) -> dict[str, list[int]]:
        return {"input_ids": [ord(character) for character in text]}


def said(ids: list[int]) -> str:
    return "".join(chr(i) if i != END else "$" for i in ids)


def test_the_gold_triple_stands_among_the_best_others():
    (row,) = rows_from_questions([QUESTION], lambda _: FACTS, ALWAYS)
    lines = row.input.split("\n")
    assert lines[0] == "【坛经】"
    assert lines[-2:] == ["问：坛经的属性5是什么？", "答："]
    assert sorted(lines[1:-2]) == ["属性0：值0", "属性1：值1", "属性2：值2", "属性5：值5"]
    assert row.output == "值5"


def test_the_gold_triple_may_stand_anywhere():
    rows = rows_from_questions([QUESTION] * 200, lambda _: FACTS, ALWAYS)
    places = Counter(row.input.split("\n").index("属性5：值5") for row in rows)
    assert set(places) == {1, 2, 3, 4}
    assert min(places.values()) > 25


def test_the_number_of_triples_varies_between_its_limits():
    options = RowOptions(min_triples=3, max_triples=10, unanswerable_share=0.0)
    rows = rows_from_questions([QUESTION] * 200, lambda _: FACTS, options)
    assert {row.input.count("\n") - 2 for row in rows} == set(range(3, 11))


def test_a_share_of_the_rows_lacks_the_answer_and_says_so():
    rows = rows_from_questions([QUESTION] * 1000, lambda _: FACTS, RowOptions(unanswerable_share=0.1))
    unknown = [row for row in rows if row.output == UNKNOWN]
    assert 60 < len(unknown) < 140
    assert all("值5" not in row.input for row in unknown)
    assert all("属性5：值5" in row.input for row in rows if row.output != UNKNOWN)


def test_a_gold_triple_that_retrieval_missed_comes_from_the_example():
    (row,) = rows_from_questions([QUESTION], lambda _: FACTS[:3], ALWAYS)
    assert "属性5：值5" in row.input


def test_a_question_whose_answer_is_nowhere_is_answered_with_unknown():
    example = QAExample("1", "坛经的作者是谁？", ("惠能",))
    (row,) = rows_from_questions([example], lambda _: FACTS, ALWAYS)
    assert row.output == UNKNOWN
    assert row.input.count("\n") == 6


def test_the_gold_predicate_decides_between_equal_values():
    same = [Triple(0, "坛经", "别名", "值5", 7), *FACTS]
    (row,) = rows_from_questions([QUESTION], lambda _: same, ALWAYS)
    assert "属性5：值5" in row.input
    assert "别名" not in row.input


def test_answers_that_differ_in_blanks_alone_are_the_same():
    facts = [Triple(0, "坛经", "作者", "惠能\u00a0大师", 7), *FACTS[:3]]
    example = QAExample("1", "坛经的作者是谁？", ("惠能  大师",))
    (row,) = rows_from_questions([example], lambda _: facts, ALWAYS)
    assert row.output == "惠能 大师"
    assert "作者：惠能 大师" in row.input
    (unknown,) = rows_from_questions([example], lambda _: facts, RowOptions(unanswerable_share=0.999))
    assert (unknown.output, "惠能" in unknown.input) == (UNKNOWN, False)


def test_closed_book_rows_hold_no_triples():
    rows = rows_from_questions([QUESTION, QAExample("2", "谁？", ())], lambda _: FACTS, RowOptions(closed_book=True))
    assert rows == [("问：坛经的属性5是什么？\n答：", "值5")]


def test_rows_are_the_same_for_the_same_seed():
    def rows(seed):
        return rows_from_questions([QUESTION] * 20, lambda _: FACTS, RowOptions(seed=seed))

    assert rows(1) == rows(1)
    assert rows(1) != rows(2)


def test_the_loss_counts_the_answer_and_its_end_only():
    ((row,), n_cut, n_dropped) = encode_rows(CharacterTokenizer(), [[("问：谁？\n答：", "惠能")]], 100)
    assert said(row.input_ids) == "问：谁？\n答：惠能$"
    assert row.labels == [IGNORED] * 7 + [ord("惠"), ord("能"), END]
    assert (n_cut, n_dropped) == (0, 0)


TWO = [("【甲】\n问：一？\n答：", "甲"), ("问：二？\n答：", "乙")]


def test_each_question_of_a_row_follows_the_triples_and_each_answer_counts():
    ((row,), *_) = encode_rows(CharacterTokenizer(), [TWO], 100)
    assert said(row.input_ids) == "【甲】\n问：一？\n答：甲$\n问：二？\n答：乙$"
    assert said([label for label in row.labels if label != IGNORED]) == "甲$乙$"
    assert row.blocks == [0] * 3 + [1] * 10 + [2] * 10


def test_each_question_of_a_row_sees_the_triples_and_itself_only():
    pytest.importorskip("torch", reason="needs the extra [models]")
    rows = encode_rows(CharacterTokenizer(), [TWO, [("问：谁？\n答：", "惠")]], 100).rows
    batch = collate(rows)
    sees = batch["attention_mask"]
    assert sees.shape == (2, 1, 23, 23)
    assert sees[0, 0, 22].nonzero().flatten().tolist() == [0, 1, 2, *range(13, 23)]
    assert sees[0, 0, 12].nonzero().flatten().tolist() == list(range(13))
    assert sees[1, 0, 8].nonzero().flatten().tolist() == list(range(9))
    assert batch["position_ids"][0].tolist() == [*range(13), *range(3, 13)]
    assert batch["position_ids"][1, :9].tolist() == list(range(9))
    assert set(batch["position_ids"][1, 9:].tolist()) == {0}  # padding must not pass the end of learnt positions


def test_pairs_that_do_not_fit_are_left_out():
    ((row,), *_) = encode_rows(CharacterTokenizer(), [TWO], 20)
    assert said(row.input_ids) == "【甲】\n问：一？\n答：甲$"


def test_a_long_row_loses_triples_and_is_counted():
    prompt = "【甲】\n乙：一\n丙：二\n问：谁？\n答："
    rows, n_cut, n_dropped = encode_rows(
        CharacterTokenizer(), [[(prompt, "惠能")], [("问：谁？\n答：", "长" * 20)]], 20
    )
    assert [said(row.input_ids) for row in rows] == ["【甲】\n乙：一\n问：谁？\n答：惠能$"]
    assert (n_cut, n_dropped) == (1, 1)


LONG = "【甲】\n乙：一\n丙：二\n【丁】\n戊：三\n己：二\n问：谁？\n答："


@pytest.mark.parametrize(
    ("answer", "max_tokens", "expected"),
    [
        ("三", 40, LONG),
        ("三", 28, "【甲】\n乙：一\n【丁】\n戊：三\n问：谁？\n答："),
        ("三", 24, "【甲】\n【丁】\n戊：三\n问：谁？\n答："),
        ("三", 20, "【丁】\n戊：三\n问：谁？\n答："),
        ("二", 30, "【甲】\n乙：一\n丙：二\n【丁】\n己：二\n问：谁？\n答："),  # both of its triples
        (UNKNOWN, 20, "【甲】\n乙：一\n问：谁？\n答："),
    ],
)
def test_a_row_that_is_cut_keeps_what_its_answer_rests_on(answer, max_tokens, expected):
    ((row,), n_cut, n_dropped) = encode_rows(CharacterTokenizer(), [[(LONG, answer)]], max_tokens)
    assert said(row.input_ids) == f"{expected}{answer}$"
    assert (n_cut, n_dropped) == (int(expected != LONG), 0)


@pytest.mark.parametrize(
    "pair",
    [
        (LONG, "三三三"),  # the question alone would fit
        ("问：这个问题比一行所能容的还要长，怎么办？\n答：", "三"),
        ("一段没有三元组的文字。\n它不能删减。\n谁？", "三"),
    ],
)
def test_a_row_whose_question_or_evidence_does_not_fit_is_dropped_and_counted(pair):
    prompt, answer = pair[0].replace("戊：三", "戊：三三三"), pair[1]
    assert encode_rows(CharacterTokenizer(), [[(prompt, answer)]], 19) == ([], 0, 1)


def test_a_later_question_whose_triple_was_cut_is_left_out():
    prompt = f"【甲】\n乙：一\n{'丙' * 14}：二\n问：谁？\n答："
    more = [("问：几？\n答：", "二"), ("问：何？\n答：", "一")]
    ((row,), n_cut, _) = encode_rows(CharacterTokenizer(), [[(prompt, "一"), *more]], 33)
    assert said(row.input_ids) == "【甲】\n乙：一\n问：谁？\n答：一$\n问：何？\n答：一$"
    assert n_cut == 1


FACT = st.tuples(st.text("甲乙", min_size=1, max_size=4), st.text("丙丁", min_size=1, max_size=12))


@given(
    st.lists(st.tuples(st.lists(FACT, min_size=1, max_size=6), st.integers(0, 5), st.text("谁何", max_size=30))),
    st.integers(16, 60),
)
def test_rows_fit_and_keep_their_question_and_their_evidence(drawn, max_tokens):
    conversations, endings = [], {}
    for number, (facts, place, question) in enumerate(drawn):
        lines = [f"{predicate}：{value}" for predicate, value in facts]
        answer, evidence = facts[place % len(facts)][1], lines[place % len(facts)]
        asked = f"问：{number}{question}\n答："
        conversations.append([("\n".join(["【戊】", *lines, asked]), answer)])
        endings[f"{number}"] = (evidence, f"\n{asked}{answer}$")
    rows, _, n_dropped = encode_rows(CharacterTokenizer(), conversations, max_tokens)
    assert len(rows) + n_dropped == len(conversations)
    for row in rows:
        assert len(row.input_ids) == len(row.labels) <= max_tokens
        assert all(label in (IGNORED, token) for token, label in zip(row.input_ids, row.labels, strict=True))
        text = said(row.input_ids)
        evidence, ending = endings["".join(c for c in text.split("问：")[1] if c.isdigit())]
        assert text.endswith(ending)
        assert evidence in text.split("\n")


def test_collate_pads_at_the_right_without_counting_the_padding():
    pytest.importorskip("torch", reason="needs the extra [models]")
    batch = collate([TokenRow([5, 6, 7], [IGNORED, 6, 7]), TokenRow([8], [8])])
    assert batch["input_ids"].tolist() == [[5, 6, 7], [8, 0, 0]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert batch["labels"].tolist() == [[IGNORED, 6, 7], [8, IGNORED, IGNORED]]


@given(st.lists(st.integers(1, 500), min_size=1, max_size=60), st.integers(1, 9), st.integers(1, 200), st.integers())
def test_length_grouped_gives_every_row_once_an_epoch(lengths, batch, n_rows, seed):
    order = length_grouped(lengths, batch, n_rows, seed)
    assert len(order) == n_rows
    for start in range(0, n_rows - len(lengths) + 1, len(lengths)):
        assert sorted(order[start : start + len(lengths)]) == list(range(len(lengths)))


def test_batches_hold_rows_of_like_length():
    lengths = [10, 500] * 8
    order = length_grouped(lengths, 8, 16, seed=3)
    assert {lengths[i] for i in order[:8]} != {10, 500}


def test_validation_rows_are_not_trained_on():
    rows = [TokenRow([i], [i]) for i in range(100)]
    training, validation = split_validation(rows, 0.2, most=15, seed=4)
    assert len(validation) == 15
    assert sorted(row.input_ids[0] for row in training + validation) == list(range(100))
    assert split_validation(rows, 0.0, 15, 4) == (rows, [])
    assert [len(part) for part in split_validation(rows[:2], 0.9, 15, 4)] == [1, 1]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"rank": 0}, "rank=0: expected at least 1"),
        ({"learning_rate": 0.0}, "learning_rate=0.0: expected a number over 0"),
        ({"learning_rate": float("nan")}, "learning_rate=nan: expected a number over 0"),
        ({"warmup_share": 1.0}, "warmup_share=1.0: expected a share"),
        ({"max_steps": 0}, "max_steps=0: expected at least 1"),
        ({"max_tokens": 4}, "max_tokens=4: expected at least 16"),
        ({"rows_at_once": 3}, "rows_at_once=3: expected a divisor of rows_per_step=8"),
        ({"full": True, "adapter": Path("a")}, "full=True with an adapter"),
    ],
)
def test_settings_out_of_range_are_refused(setting, message):
    with pytest.raises(InputError) as error:
        SFTConfig(Path("rows.json"), Path("out"), **setting)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    "setting", [{"min_triples": 0}, {"min_triples": 5, "max_triples": 4}, {"unanswerable_share": 1.0}]
)
def test_row_options_out_of_range_are_refused(setting):
    with pytest.raises(InputError):
        RowOptions(**setting)
