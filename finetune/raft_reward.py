"""What an answer is worth: the rule that can be checked, a reward model's opinion, and the penalty for drift."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from finetune.fitting import stated_values
from finetune.raft_prompts import RaftPrompt
from kbqa_agent.prompts import UNKNOWN, answer_text
from kbqa_agent.qa_data import comparable
from kbqa_agent.tokenizing import QUESTION_LINES

__all__ = [
    "RIGHT",
    "UNSUPPORTED",
    "WRONG",
    "RewardModel",
    "is_right",
    "mixed",
    "penalised",
    "rule_reward",
    "shown_values",
]

RIGHT = 1.0
WRONG = 0.0
"""Another value of the evidence, or silence where the answer stands: of no use, but nothing that was made up."""
UNSUPPORTED = -0.5
"""A value that the evidence does not hold. It is worse than a wrong one, since the reader cannot see where it comes
from, and half as far from silence as silence is from right: with -1, a generator that is right less than every second
time would do best never to answer."""


class RewardModel(Protocol):
    """What judges answers, as `finetune.reward.load_reward_model` opens it."""

    def score(self, prompts: Sequence[str], answers: Sequence[str]) -> NDArray[np.float32]:
        """Score each answer under its prompt (logits, higher is better), (n,)."""


def rule_reward(prompt: RaftPrompt, answer: str) -> float:
    r"""Reward an answer by what can be checked: `RIGHT`, `WRONG` or `UNSUPPORTED`.

    Right is a gold answer that is an object of a triple in the prompt, and "not known" where no gold answer is. Without
    triples, as closed-book prompts are, nothing can be supported: a gold answer is right, everything else is wrong.

    >>> text = "【坛经】\n作者：惠能\n语言：中文\n问：《坛经》是谁写的？\n答："
    >>> shown = RaftPrompt("1", text, ("惠能",), "惠能")
    >>> [rule_reward(shown, answer) for answer in ("惠能", "中文", "不知道", "李白")]
    [1.0, 0.0, 0.0, -0.5]
    """
    given, values = comparable(answer), shown_values(prompt.text)
    if given == UNKNOWN:
        return WRONG if prompt.gold else RIGHT
    if values is not None and (not given or given not in values):
        return UNSUPPORTED
    return RIGHT if given in {comparable(answer_text(gold)) for gold in prompt.gold} else WRONG


def is_right(rule: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which rewards of the rule are those of right answers, in the same shape."""
    right: NDArray[np.bool_] = np.equal(rule, RIGHT)
    return right


def mixed(rule: NDArray[np.float64], scores: NDArray[np.float64] | None, rule_weight: float) -> NDArray[np.float64]:
    """Mix the rule's rewards with a reward model's scores (logits), of equal shapes; without scores the rule is all.

    The scores go through the logistic function first: that brings them to the rule's scale, and changes no order.

    >>> mixed(np.array([1.0, 0.0]), np.array([0.0, 0.0]), rule_weight=0.5).tolist()
    [0.75, 0.25]
    """
    if scores is None or rule_weight == 1:
        return rule
    return rule_weight * rule + (1 - rule_weight) / (1 + np.exp(-scores))


def penalised(rewards: NDArray[np.float64], drift: NDArray[np.float64], kl_weight: float) -> NDArray[np.float64]:
    """Take `kl_weight` times the drift, log p - log p_ref per token in nats, off the rewards; all of one shape.

    >>> penalised(np.array([1.0]), np.array([2.0]), 0.1).tolist()
    [0.8]

    Reference: Dong et al. 2023, arXiv:2304.06767, where it is a regularisation that may be added.
    """
    return rewards - kl_weight * drift


def shown_values(prompt: str) -> set[str] | None:
    """Collect the values in a prompt's lines of triples; None where it has no such line.

    Of what `stated_values` gives: rather one value too many than a supported answer punished.
    """
    facts = [line for line in prompt.split("\n")[:-QUESTION_LINES] if not line.startswith("【")]
    return stated_values(facts) if facts else None
