"""Answers drawn for prompts, with what they are worth, in memory and as rows of files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from finetune.json_rows import read_rows, write_rows
from finetune.raft_config import RaftConfig
from finetune.raft_prompts import RaftPrompt
from finetune.raft_reward import RewardModel, mixed, penalised, rule_reward
from finetune.raft_sharing import for_each
from finetune.raft_tools import Policy
from kbqa_agent.qa_data import comparable
from kbqa_agent.sampling import Sampled
from kbqa_agent.types import Generator

__all__ = [
    "Drawn",
    "Kept",
    "Rewarded",
    "draw_samples",
    "log_likelihoods",
    "majority",
    "model_scores",
    "read_kept",
    "read_rewards",
    "read_samples",
    "reward_samples",
    "write_kept",
    "write_rewards",
    "write_samples",
]


class Drawn(NamedTuple):
    """A prompt and its K samples: texts, tokens, and log-likelihoods under the generator that drew them."""

    prompt: RaftPrompt
    texts: tuple[str, ...]
    n_tokens: tuple[int, ...]
    log_likelihoods: tuple[float, ...]


class Rewarded(NamedTuple):
    """What samples are worth, each (n_prompts, K).

    `drift` is log p - log p_ref per token in nats, `model` None without a reward model; `reward` is what ranks.
    """

    rule: NDArray[np.float64]
    model: NDArray[np.float64] | None
    drift: NDArray[np.float64]
    reward: NDArray[np.float64]


class Kept(NamedTuple):
    """A row that a stage trains on: the best sample of a prompt or, without a reward, the gold answer of another."""

    id: str
    prompt: str
    answer: str
    reward: float | None


def draw_samples(
    policy: Policy, prompts: Sequence[RaftPrompt], config: RaftConfig, seed: int, progress: bool = True
) -> list[Drawn]:
    """Draw K samples for each prompt, prompts of like length together; the order of the prompts stays.

    The log-likelihoods are those of the texts as they are scored and trained on, which can be other tokens than drawn.
    """

    def draw(some: Sequence[RaftPrompt]) -> list[Drawn]:
        found = policy.sample(
            [prompt.text for prompt in some],
            config.samples,
            temperature=config.temperature,
            top_p=config.top_p,
            max_new_tokens=config.max_new_tokens,
            seed=seed,
        )
        return [_scored(policy, prompt, samples) for prompt, samples in zip(some, found, strict=True)]

    return for_each(prompts, draw, lambda prompt: prompt.text, "sample", progress)


def _scored(policy: Policy, prompt: RaftPrompt, samples: Sequence[Sampled]) -> Drawn:
    texts = tuple(sample.text for sample in samples)
    return Drawn(
        prompt, texts, tuple(sample.n_tokens for sample in samples), log_likelihoods(policy, prompt.text, texts)
    )


def log_likelihoods(policy: Generator, prompt: str, texts: Sequence[str]) -> tuple[float, ...]:
    """Give the natural-log likelihood of each text under a prompt; equal texts are scored once."""
    different = list(dict.fromkeys(texts))
    scored = dict(zip(different, map(float, policy.score(prompt, different)), strict=True))
    return tuple(scored[text] for text in texts)


def reward_samples(
    drawn: Sequence[Drawn],
    reference: Sequence[Sequence[float]],
    model: NDArray[np.float64] | None,
    rule_weight: float,
    kl_weight: float,
) -> Rewarded:
    """Reward samples by a reward model's scores, `model`, and log-likelihoods under the start, both (n_prompts, K)."""
    rule = np.array([[rule_reward(d.prompt, text) for text in d.texts] for d in drawn], dtype=np.float64)
    gained = np.array([d.log_likelihoods for d in drawn], np.float64) - np.asarray(reference, np.float64)
    drift = gained / np.maximum(1, np.array([d.n_tokens for d in drawn]))
    return Rewarded(rule, model, drift, penalised(mixed(rule, model, rule_weight), drift, kl_weight))


def model_scores(judge: RewardModel, drawn: Sequence[Drawn], progress: bool = True) -> NDArray[np.float64]:
    """Score all samples with a reward model, (n_prompts, K); equal samples of a prompt are scored once."""

    def score(some: Sequence[Drawn]) -> list[list[float]]:
        different = list(dict.fromkeys((d.prompt.text, text) for d in some for text in d.texts))
        scores = map(float, judge.score([prompt for prompt, _ in different], [text for _, text in different]))
        scored = dict(zip(different, scores, strict=True))
        return [[scored[d.prompt.text, text] for text in d.texts] for d in some]

    return np.array(for_each(drawn, score, lambda d: d.prompt.text, "judge", progress), np.float64)


def majority(drawn: Drawn) -> str:
    """Choose the answer that was drawn most often, of equally frequent ones the likeliest.

    Reference: Wang et al. 2023, arXiv:2203.11171 (self-consistency).
    """
    votes = Counter(map(comparable, drawn.texts))
    places = range(len(drawn.texts))
    return drawn.texts[max(places, key=lambda i: (votes[comparable(drawn.texts[i])], drawn.log_likelihoods[i]))]


def write_samples(drawn: Sequence[Drawn], path: Path) -> None:
    """Write one row a prompt, with its samples. Raises: StorageError."""
    write_rows(
        (
            {
                "id": d.prompt.id,
                "prompt": d.prompt.text,
                "gold": d.prompt.gold,
                "target": d.prompt.target,
                "samples": [
                    {"text": text, "n_tokens": n, "log_likelihood": likely}
                    for text, n, likely in zip(d.texts, d.n_tokens, d.log_likelihoods, strict=True)
                ],
            }
            for d in drawn
        ),
        path,
    )


def read_samples(path: Path) -> list[Drawn]:
    """Read what `write_samples` wrote. Raises: InputError."""
    return [
        Drawn(
            RaftPrompt(row["id"], row["prompt"], tuple(row["gold"]), row["target"]),
            *(tuple(s[name] for s in row["samples"]) for name in ("text", "n_tokens", "log_likelihood")),
        )
        for row in read_rows(path)
    ]


def write_rewards(drawn: Sequence[Drawn], rewarded: Rewarded, path: Path) -> None:
    """Write one row a prompt, with a number for each of its samples. Raises: StorageError."""
    columns = {name: values for name, values in rewarded._asdict().items() if values is not None}
    write_rows(
        (
            {"id": d.prompt.id} | {name: list(values[i]) for name, values in columns.items()}
            for i, d in enumerate(drawn)
        ),
        path,
    )


def read_rewards(path: Path) -> Rewarded:
    """Read what `write_rewards` wrote. Raises: InputError."""
    rows = read_rows(path)
    columns = {name: np.array([row[name] for row in rows]) for name in Rewarded._fields if name in rows[0]}
    return Rewarded(columns["rule"], columns.get("model"), columns["drift"], columns["reward"])


def write_kept(kept: Sequence[Kept], path: Path) -> None:
    """Write the rows that a stage trains on. Raises: StorageError."""
    write_rows((row._asdict() for row in kept), path)


def read_kept(path: Path) -> list[Kept]:
    """Read what `write_kept` wrote. Raises: InputError."""
    return [Kept(**row) for row in read_rows(path)]
