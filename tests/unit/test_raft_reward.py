"""What answers are worth: by the rule, by a reward model, and after the penalty for drift."""

from __future__ import annotations

import numpy as np
import pytest

from finetune.raft_prompts import RaftPrompt
from finetune.raft_reward import mixed, penalised, rule_reward
from finetune.raft_samples import Drawn, model_scores, reward_samples
from kb_index.types import Triple
from kbqa_agent.prompts import UNKNOWN, answer_prompt, closed_book_prompt

QUESTION = "《坛经》是谁写的？"
TRIPLES = (
    Triple(0, "坛经", "作者", "惠能 大师", 0),
    Triple(1, "坛经", "语言", "中文", 0),
    Triple(2, "坛经", "简介：短", "禅宗：经典", 0),
)
SHOWN = RaftPrompt("1", answer_prompt(QUESTION, TRIPLES), ("惠能 大师", "六祖"), "惠能 大师")
NOT_SHOWN = RaftPrompt("2", answer_prompt(QUESTION, TRIPLES[1:]), (), UNKNOWN)
CLOSED = RaftPrompt("3", closed_book_prompt(QUESTION), ("惠能",), "惠能")


@pytest.mark.parametrize(
    ("prompt", "answer", "expected"),
    [
        (SHOWN, "惠能 大师", 1.0),
        (SHOWN, " 惠能\u00a0大师 ", 1.0),
        (SHOWN, "中文", 0.0),
        (SHOWN, "禅宗：经典", 0.0),
        (SHOWN, "不知道", 0.0),
        (SHOWN, "李白", -0.5),
        (SHOWN, "六祖", -0.5),  # gold, but no object of a shown triple
        (SHOWN, "坛经", -0.5),  # the subject is no object
        (SHOWN, "惠能", -0.5),  # a part of an object is none
        (SHOWN, "", -0.5),
        (NOT_SHOWN, "不知道", 1.0),
        (NOT_SHOWN, "中文", 0.0),
        (NOT_SHOWN, "惠能 大师", -0.5),
        (CLOSED, "惠能", 1.0),
        (CLOSED, "李白", 0.0),
        (CLOSED, "不知道", 0.0),
    ],
)
def test_the_rule(prompt: RaftPrompt, answer: str, expected: float) -> None:
    assert rule_reward(prompt, answer) == expected


def test_a_gold_answer_that_the_prompt_cuts_is_right_as_it_is_cut() -> None:
    long = "字" * 90
    prompt = RaftPrompt("1", answer_prompt(QUESTION, [Triple(0, "坛经", "全文", long, 0)]), (long,), long[:60])
    assert rule_reward(prompt, long[:60]) == 1.0


def test_a_mix_weighs_the_rule_and_the_squashed_score_of_the_model() -> None:
    rule, scores = np.array([1.0, 0.0, -0.5]), np.array([-100.0, np.log(3), 0.0])
    assert mixed(rule, scores, 1.0).tolist() == [1.0, 0.0, -0.5]
    assert mixed(rule, scores, 0.0) == pytest.approx([0.0, 0.75, 0.5])
    assert mixed(rule, scores, 0.75) == pytest.approx([0.75, 0.1875, -0.25])


def test_drift_is_penalised_per_token() -> None:
    assert penalised(np.array([1.0, 0.0]), np.array([0.4, -0.2]), 0.5) == pytest.approx([0.8, 0.1])


class LongestIsBest:
    def score(self, prompts, answers):
        return np.array([len(answer) for answer in answers], np.float32)


def test_all_parts_of_a_reward_together() -> None:
    drawn = [Drawn(SHOWN, ("惠能 大师", "李白"), (4, 2), (-2.0, -3.0))]
    scores = model_scores(LongestIsBest(), drawn, progress=False)
    found = reward_samples(drawn, [(-4.0, -3.0)], scores, rule_weight=0.5, kl_weight=0.1)
    assert found.rule.tolist() == [[1.0, -0.5]]
    assert found.model.tolist() == [[5.0, 2.0]]
    assert found.drift.tolist() == [[0.5, 0.0]]  # (-2 + 4) / 4 tokens
    # 0.5 * 1 + 0.5 / (1 + e^-5) - 0.1 * 0.5 and 0.5 * -0.5 + 0.5 / (1 + e^-2)
    assert found.reward[0] == pytest.approx([0.946654, 0.190399], abs=1e-6)
