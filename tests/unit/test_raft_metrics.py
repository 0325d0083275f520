"""The figures of stages, the alarm, and the choice of the best stage."""

from __future__ import annotations

import pytest

from eval.official import set_f1
from finetune.raft_metrics import (
    answer_f1,
    best_stage,
    character_perplexity,
    commonest_share,
    distinct,
    paired_interval,
    reward_hacking,
)
from finetune.raft_prompts import RaftPrompt
from finetune.raft_samples import Drawn, majority


@pytest.mark.parametrize("gold", [(), ("甲",), ("甲", "乙")])
@pytest.mark.parametrize("answer", ["甲", "丙", "不知道"])
def test_f1_is_the_official_one(gold: tuple[str, ...], answer: str) -> None:
    handed_in = [] if answer == "不知道" else [answer]
    assert answer_f1(RaftPrompt("1", "", gold, ""), answer) == set_f1(handed_in, gold)


def test_a_long_gold_answer_counts_as_prompts_hold_it() -> None:
    long = "字" * 90
    prompt = RaftPrompt("1", "", (f"{long}\u00a0完",), "字" * 60)
    assert (answer_f1(prompt, "字" * 60), answer_f1(prompt, long)) == (1.0, 0.0)


def test_distinct_counts_n_grams_of_all_texts() -> None:
    texts = ["中国", "中国人", "v2 中"]
    assert distinct(texts, 1) == 4 / 7  # 中 国 中 国 人 v2 中
    assert distinct(texts, 2) == 3 / 4  # 中国 中国 国人 v2中
    assert distinct(["", "一"], 2) == 0.0


def test_a_generator_that_repeats_itself_shows() -> None:
    assert commonest_share(["的的的的", "的是"]) == 5 / 6
    assert commonest_share([]) == 0.0


def test_perplexity_is_that_of_a_character_with_ends() -> None:
    # Two characters and two ends, each with probability 1/10.
    assert character_perplexity(["甲", "乙"], [-4.605170186, -4.605170186]) == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("figures", "stages", "expected"),
    [
        ([(0.1, 0.6), (0.2, 0.5), (0.3, 0.4)], 2, True),
        ([(0.1, 0.6), (0.2, 0.5), (0.3, 0.5)], 2, False),  # F1 did not fall in the last stage
        ([(0.1, 0.6), (0.2, 0.5), (0.2, 0.4)], 2, False),  # the reward did not rise in the last stage
        ([(0.1, 0.3), (0.2, 0.5), (0.3, 0.4)], 2, False),  # F1 rose in the stage before
        ([(0.1, 0.3), (0.2, 0.5), (0.3, 0.4)], 1, True),
        ([(0.1, 0.6), (0.2, 0.5)], 2, False),  # too early to tell
        ([(0.9, 0.9), (0.1, 0.6), (0.2, 0.5), (0.3, 0.4)], 2, True),
        ([(0.1, 0.6), (0.2, 0.5), (0.3, 0.4)], 0, False),
        ([], 2, False),
    ],
)
def test_the_alarm(figures: list[tuple[float, float]], stages: int, expected: bool) -> None:
    assert reward_hacking([{"reward": r, "f1": f} for r, f in figures], stages) is expected


def test_the_best_stage_is_not_the_last() -> None:
    rows = [
        {"stage": i, "f1": f1, "held_out_reward": r} for i, (f1, r) in enumerate([(0.4, 0), (0.6, 0.1), (0.6, 0.2)])
    ]
    assert best_stage(rows) == 2
    assert (
        best_stage(
            [*rows, {"stage": 3, "f1": 0.6, "held_out_reward": 0.2}, {"stage": 4, "f1": 0, "held_out_reward": 1}]
        )
        == 2
    )


def test_a_majority_of_samples_wins_and_then_the_likeliest() -> None:
    prompt = RaftPrompt("1", "", (), "")
    assert majority(Drawn(prompt, ("甲", "乙", "乙 "), (1, 1, 1), (-0.1, -3.0, -2.0))) == "乙 "
    assert majority(Drawn(prompt, ("甲", "乙"), (1, 1), (-0.2, -0.1))) == "乙"


def test_a_gain_on_most_questions_excludes_zero() -> None:
    gain, low, high = paired_interval([0] * 100, [1] * 30 + [0] * 70)
    assert gain == pytest.approx(0.3)
    assert 0.2 < low < 0.25
    assert 0.35 < high < 0.4
