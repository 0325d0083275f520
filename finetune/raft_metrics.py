"""The figures of a RAFT stage: what was drawn, how the trained generator does on held-out questions, and the alarm."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from math import exp

import numpy as np
from numpy.typing import NDArray

from finetune.raft_prompts import RaftPrompt
from kbqa_agent.prompts import UNKNOWN, answer_text
from kbqa_agent.qa_data import comparable

__all__ = [
    "answer_f1",
    "best_stage",
    "character_perplexity",
    "commonest_share",
    "distinct",
    "paired_interval",
    "reward_hacking",
]

_TOKEN = re.compile(r"[A-Za-z0-9]+|\S")


def answer_f1(prompt: RaftPrompt, answer: str) -> float:
    """Give the official F1 of one answer: of the sets {answer} and gold, where "not known" is the empty set.

    Gold answers are compared as prompts hold them, cut to a line: the generator cannot write what it was not shown.

    >>> two, none = RaftPrompt("1", "", ("惠能", "六祖"), "惠能"), RaftPrompt("2", "", (), "不知道")
    >>> answer_f1(two, "惠能"), answer_f1(none, "不知道")
    (0.6666666666666666, 1.0)

    Reference: Duan 2016, Overview of the NLPCC-ICCPOL 2016 Shared Task: Open Domain Chinese Question Answering.
    """
    given, gold = {comparable(answer)} - {UNKNOWN, ""}, {comparable(answer_text(gold)) for gold in prompt.gold}
    return 2 * len(given & gold) / (len(given) + len(gold)) if given or gold else 1.0


def distinct(texts: Iterable[str], n: int) -> float:
    """Give the share of different n-grams among all n-grams of the texts; 0 where there are none.

    A token is a Chinese character, a mark, or a run of Latin letters and digits.

    >>> distinct(["中国", "中国"], 1), distinct(["中国", "国中"], 2)
    (0.5, 1.0)

    Reference: Li et al. 2016, arXiv:1510.03055, section 5.
    """
    grams = [gram for text in texts for gram in _grams(_TOKEN.findall(text), n)]
    return len(set(grams)) / len(grams) if grams else 0.0


def commonest_share(texts: Iterable[str]) -> float:
    """Give the commonest token's share of all tokens, which nears 1 when a generator repeats itself.

    >>> commonest_share(["中中国", "中"])
    0.75
    """
    counts = Counter(token for text in texts for token in _TOKEN.findall(text))
    return max(counts.values()) / counts.total() if counts else 0.0


def character_perplexity(targets: Sequence[str], log_likelihoods: Sequence[float]) -> float:
    """Give the perplexity of a character of the targets, their ends counted as one: comparable between tokenizers.

    `log_likelihoods` are natural, of each whole target with its end token.
    """
    return exp(-sum(log_likelihoods) / sum(len(target) + 1 for target in targets))


def best_stage(rows: Sequence[Mapping[str, float]]) -> int:
    """Name the stage with the highest held-out F1, then the higher held-out reward, then the first.

    >>> best_stage([{"stage": n, "f1": f1, "held_out_reward": 0} for n, f1 in enumerate((0.4, 0.6, 0.5))])
    1
    """
    return int(max(rows, key=lambda row: (row["f1"], row["held_out_reward"], -row["stage"]))["stage"])


def reward_hacking(rows: Sequence[Mapping[str, float]], stages: int) -> bool:
    """Say whether, in each of the last `stages` steps from stage to stage, the reward rose while held-out F1 fell.

    `rows` are the metrics of the stages from 1 on, in order; the reward is the mean over the samples of a stage, the F1
    that of the generator which was trained on them. One such step may be chance; 0 stages give no alarm.

    >>> row = lambda reward, f1: {"reward": reward, "f1": f1}
    >>> reward_hacking([row(0.2, 0.6), row(0.4, 0.5), row(0.6, 0.4)], stages=2)
    True
    >>> reward_hacking([row(0.2, 0.6), row(0.4, 0.7), row(0.6, 0.4)], stages=2)
    False
    """
    steps = list(pairwise(rows))[-stages:] if stages else []
    worse = [after["reward"] > before["reward"] and after["f1"] < before["f1"] for before, after in steps]
    return len(worse) == stages > 0 and all(worse)


def paired_interval(before: Sequence[float], after: Sequence[float], seed: int = 0) -> tuple[float, float, float]:
    """Give the mean difference of paired figures and its 95 % interval, by drawing 2,000 times with replacement.

    >>> paired_interval([0, 0, 0], [1, 1, 1])
    (1.0, 1.0, 1.0)

    Reference: Efron and Tibshirani 1993, An Introduction to the Bootstrap, section 13.3.
    """
    difference: NDArray[np.float64] = np.asarray(after, np.float64) - np.asarray(before, np.float64)
    drawn = np.random.default_rng(seed).integers(len(difference), size=(2000, len(difference)))
    low, high = np.quantile(difference[drawn].mean(axis=1), [0.025, 0.975])
    return float(difference.mean()), float(low), float(high)


def _grams(tokens: Sequence[str], n: int) -> Iterable[tuple[str, ...]]:
    return zip(*(tokens[i:] for i in range(n)), strict=False)
