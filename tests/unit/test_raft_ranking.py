"""RAFT's two rankings and its filter, with numbers that are worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from finetune.raft_config import RaftConfig
from finetune.raft_ranking import best_of_batch, best_of_each, undecided
from finetune.raft_samples import Rewarded
from finetune.raft_stage import keep
from kb_index.errors import InputError

# Four prompts, b = 4, three samples of each, K = 3.
REWARDS = np.array(
    [
        [0.1, 0.7, 0.4],
        [0.9, 0.8, -0.5],
        [0.0, 0.2, 0.3],
        [0.6, -0.5, 0.5],
    ]
)
CONFIG = RaftConfig(questions=Path("q"), out=Path("o"), batch=4, samples=3, accept_one_in=2, skip_decided=False)


def rewarded(reward: np.ndarray, rule: np.ndarray) -> Rewarded:
    return Rewarded(rule, None, np.zeros_like(reward), reward)


def test_the_papers_ranking_keeps_the_best_sample_of_each_prompt() -> None:
    # Row by row the largest number: 0.7 is second, 0.9 first, 0.3 third, 0.6 first.
    assert best_of_each(REWARDS) == [(0, 1), (1, 0), (2, 2), (3, 0)]


def test_algorithm_1_keeps_the_best_samples_of_the_batch() -> None:
    # floor(b/k) = floor(4/2) = 2: of all twelve numbers the largest two are 0.9 and 0.8, both of the second prompt.
    assert keep(replace(CONFIG, ranking="batch"), rewarded(REWARDS, REWARDS), seed=0) == [(1, 0), (1, 1)]
    # As the report prints it, one sample a prompt: of 0.1, 0.9, 0.0, 0.6 the largest two.
    assert best_of_batch(REWARDS[:, :1], 4 // 2) == [(1, 0), (3, 0)]


@pytest.mark.parametrize(("batch", "one_in", "n_kept"), [(7, 2, 3), (8, 3, 2), (9, 10, 0), (5, 1, 5)])
def test_algorithm_1_keeps_the_floor_of_b_over_k(batch: int, one_in: int, n_kept: int) -> None:
    assert len(best_of_batch(np.arange(float(batch))[:, None], batch // one_in)) == n_kept


def test_decided_prompts_are_left_out_of_both_rankings() -> None:
    # Right and wrong samples: the first prompt has both, the second only right ones, the third only wrong ones.
    rule = np.array([[0.0, 1.0, 1.0], [1.0, 1.0, 1.0], [0.0, -0.5, 0.0], [1.0, -0.5, 0.0]])
    assert undecided(rule == 1).tolist() == [True, False, False, True]
    skipping = replace(CONFIG, skip_decided=True)
    assert keep(skipping, rewarded(REWARDS, rule), seed=0) == [(0, 1), (3, 0)]
    # Of the first and the last prompt, 0.7 and 0.6 are best.
    assert keep(replace(skipping, ranking="batch"), rewarded(REWARDS, rule), seed=0) == [(0, 1), (3, 0)]


def test_nothing_is_kept_where_all_prompts_are_decided() -> None:
    for ranking in ("prompt", "batch"):
        config = replace(CONFIG, skip_decided=True, ranking=ranking)
        assert keep(config, rewarded(REWARDS, np.zeros((4, 3))), seed=0) == []


@pytest.mark.parametrize("rank", [best_of_each, lambda rewards, seed: best_of_batch(rewards, 6, seed)])
def test_ties_are_broken_by_seed(rank) -> None:
    ties = np.ones((6, 4))
    assert rank(ties, 1) == rank(ties, 1)
    assert len({tuple(rank(ties, seed)) for seed in range(10)}) > 5
    assert {sample for seed in range(30) for _, sample in rank(ties, seed)} == {0, 1, 2, 3}
    assert rank(REWARDS, 3) == rank(REWARDS, 4)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"stages": 0}, "stages=0: expected at least 1"),
        ({"temperature": 0.0}, "temperature=0.0: expected a number over 0"),
        ({"ranking": "best"}, "expected one of prompt, batch"),
        ({"samples": 1}, "samples=1: expected at least 2 to rank"),
        ({"samples": 1, "ranking": "batch", "skip_decided": True}, "samples=1 with skip_decided"),
        ({"ranking": "batch", "batch": 3, "accept_one_in": 4}, r"floor\(b/k\) = 0"),
        ({"rule_weight": 0.5}, "rule_weight=0.5 without a reward model"),
        ({"rule_weight": 1.5}, "expected a share from 0 to 1"),
        ({"replay_share": 1.0}, "expected a share from 0 to under 1"),
        ({"kl_weight": -0.1}, "expected numbers of 0 or more"),
        ({"report_to": "paper"}, "expected one of none, wandb"),
        ({"learning_rate": 0.0}, "learning_rate=0.0: expected"),
        ({"rows_at_once": 3}, "rows_at_once=3: expected a divisor of rows_per_step=8"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, said) -> None:
    with pytest.raises(InputError, match=said):
        replace(CONFIG, **settings)
