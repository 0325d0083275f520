"""Preferences by prompt, what is held out, shuffled labels, and rows of tokens whose answers are never cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.comparisons import (
    Comparison,
    TokenComparison,
    collate_comparisons,
    encode_comparisons,
    grouped,
    hold_out,
    shuffled,
)
from finetune.preferences import Preference
from finetune.reward_config import RewardConfig
from finetune.reward_figures import Margins, accuracy_with_interval
from kb_index.errors import InputError

END = 0


class CharacterTokenizer:
    eos_token_id = END

    def __call__(
        self, text: str, add_special_tokens: bool = True, split_special_tokens: bool = False
    ) -> dict[str, list[int]]:
        return {"input_ids": [ord(character) for character in text]}


def said(ids: list[int]) -> str:
    return "".join("$" if token == END else chr(token) for token in ids)


def comparisons(n: int) -> list[Comparison]:
    return [Comparison(f"问{i}", ("甲", "乙", "丙"), ((0, 1), (0, 2))) for i in range(n)]


def test_pairs_of_one_prompt_come_together():
    pairs = [Preference("一", "甲", "乙"), Preference("二", "甲", "丙"), Preference("一", "乙", "丙")]
    assert grouped(pairs) == [
        Comparison("一", ("甲", "乙", "丙"), ((0, 1), (1, 2))),
        Comparison("二", ("甲", "丙"), ((0, 1),)),
    ]


@given(st.lists(st.builds(Preference, st.sampled_from("一二三"), *[st.sampled_from("甲乙丙丁")] * 2)))
def test_grouping_keeps_every_pair(pairs):
    back = [
        Preference(one.prompt, one.answers[better], one.answers[worse])
        for one in grouped(pairs)
        for better, worse in one.pairs
    ]
    assert sorted(back, key=repr) == sorted(pairs, key=repr)


@given(st.integers(2, 30), st.floats(0.01, 0.99), st.integers(1, 9), st.integers())
def test_whole_prompts_are_held_out(n, share, most, seed):
    given_ones = comparisons(n)
    training, held_out = hold_out(given_ones, share, most, seed)
    assert 1 <= len(held_out) <= min(most, n - 1)
    assert sorted(training + held_out, key=lambda one: int(one.prompt[1:])) == given_ones


def test_half_of_the_pairs_are_turned_round():
    turned = shuffled(comparisons(10), seed=1)
    assert sum(pair[0] == 0 for one in turned for pair in one.pairs) == 10
    assert turned == shuffled(comparisons(10), seed=1) != shuffled(comparisons(10), seed=2)


def test_a_prompt_that_is_too_long_loses_triples_only():
    prompt = "【坛经】\n作者：惠能\n朝代：唐\n问：谁写的？\n答："
    (row,), n_cut, n_dropped = encode_comparisons(
        CharacterTokenizer(), [Comparison(prompt, ("惠能", "唐"), ((0, 1),))], 24
    )
    assert said(row.prompt) == "【坛经】\n作者：惠能\n问：谁写的？\n答："
    assert [said(answer) for answer in row.answers] == ["惠能$", "唐$"]
    assert (row.pairs, n_cut, n_dropped) == ([(0, 1)], 1, 0)


def test_the_triple_of_the_better_answer_is_not_cut():
    prompt = "【坛经】\n语言：中文\n朝代：唐\n作者：惠能\n问：谁写的？\n答："
    one = Comparison(prompt, ("惠能", "唐"), ((0, 1),))
    (row,), n_cut, n_dropped = encode_comparisons(CharacterTokenizer(), [one], 24)
    assert said(row.prompt) == "【坛经】\n作者：惠能\n问：谁写的？\n答："
    assert (n_cut, n_dropped) == (1, 0)
    assert encode_comparisons(CharacterTokenizer(), [one], 20) == ([], 0, 1)


def test_pairs_that_do_not_fit_are_dropped_and_counted():
    long = Comparison("【甲】\n问：谁？\n答：", ("一", "二" * 30, "三"), ((0, 1), (0, 2), (1, 2)))
    talk = Comparison("问：" + "话" * 30 + "\n答：", ("一", "二"), ((0, 1),))
    rows, n_cut, n_dropped = encode_comparisons(CharacterTokenizer(), [long, talk], 20)
    assert [(said(answer), row.pairs) for row in rows for answer in row.answers] == [
        ("一$", [(0, 1)]),
        ("三$", [(0, 1)]),
    ]
    assert (n_cut, n_dropped) == (0, 3)


def test_a_long_list_becomes_one_row_for_each_pair():
    one = Comparison("问：谁？\n答：", ("甲" * 9, "乙" * 9, "丙" * 9), ((0, 1), (0, 2), (1, 2)))
    rows, _, _ = encode_comparisons(CharacterTokenizer(), [one], 18)
    assert [[said(answer)[0] for answer in row.answers] for row in rows] == [["甲", "乙"], ["甲", "丙"], ["乙", "丙"]]
    assert [row.prompt_number for row in rows] == [0, 0, 0]


@given(
    st.lists(
        st.builds(
            Preference,
            st.text("甲\n：", max_size=30).map(lambda text: f"【乙】\n{text}\n问：谁？\n答："),
            st.text("丙丁", min_size=1, max_size=20),
            st.text("戊己", min_size=1, max_size=20),
        )
    ),
    st.integers(16, 60),
)
def test_every_prompt_with_an_answer_fits_and_ends_with_the_question(pairs, max_tokens):
    rows, _, n_dropped = encode_comparisons(CharacterTokenizer(), grouped(pairs), max_tokens)
    assert sum(len(row.pairs) for row in rows) + n_dropped == len(pairs)
    for row in rows:
        assert all(len(row.prompt) + len(answer) <= max_tokens for answer in row.answers)
        assert said(row.prompt).endswith("问：谁？\n答：")
        assert all(answer[-1] == END for answer in row.answers)


@pytest.mark.parametrize(
    ("shared", "rows", "ends"),
    [
        (True, [[1, 2, 3, 0, 4, 5, 0], [6, 7, 0, 8, 0, 0, 0]], [[0, 3], [0, 6], [1, 2], [1, 4]]),
        (False, [[1, 2, 3, 0, 0], [1, 2, 4, 5, 0], [6, 7, 0, 0, 0], [6, 8, 0, 0, 0]], [[0, 3], [1, 4], [2, 2], [3, 2]]),
    ],
)
def test_answers_of_a_batch_stand_behind_one_prompt_or_each_behind_its_own(shared, rows, ends):
    pytest.importorskip("torch", reason="needs the extra [models]")
    batch = collate_comparisons(
        [
            TokenComparison([1, 2], [[3, 0], [4, 5, 0]], [(1, 0)], 0),
            TokenComparison([6], [[7, 0], [8, 0]], [(0, 1), (1, 0)], 1),
        ],
        shared,
    )
    assert batch["input_ids"].tolist() == rows
    assert batch["ends"].tolist() == ends
    assert (batch["better"].tolist(), batch["worse"].tolist()) == ([1, 2, 3], [0, 3, 2])
    assert batch["weights"].tolist() == [0.5, 0.25, 0.25]


def test_the_interval_is_that_of_prompts_and_not_of_pairs():
    one_good_prompt = Margins.of([1.0] * 50 + [-1.0] * 50, [0] * 50 + [1] * 50)
    assert accuracy_with_interval(one_good_prompt) == (0.5, 0.0, 1.0)
    each_its_own = accuracy_with_interval(Margins.of([1.0] * 50 + [-1.0] * 50, range(100)))
    assert each_its_own.lower == pytest.approx(0.4, abs=0.02)
    assert each_its_own.upper == pytest.approx(0.6, abs=0.02)


def test_the_loss_of_margins():
    assert Margins.of([0.0, 0.0], [0, 1]).loss == pytest.approx(0.693147)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"rank": 0}, "rank=0: expected at least 1"),
        ({"learning_rate": float("nan")}, "learning_rate=nan: expected a number over 0"),
        ({"held_out_share": 0.0}, "held_out_share=0.0: expected a share over 0 and under 1"),
        ({"warmup_share": 1.0}, "warmup_share=1.0: expected a share from 0 to under 1"),
        ({"max_steps": 0}, "max_steps=0: expected at least 1"),
        ({"max_tokens": 4}, "max_tokens=4: expected at least 16"),
        ({"report_to": "tensorflow"}, "report_to=tensorflow: expected one of none, wandb"),
        ({"rows_at_once": 3}, "rows_at_once=3: expected a divisor of rows_per_step=8"),
    ],
)
def test_settings_out_of_range_are_refused(tmp_path, setting, message):
    with pytest.raises(InputError) as error:
        RewardConfig(tmp_path, **setting)
    assert str(error.value).startswith(message)
