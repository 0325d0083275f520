"""One stage of RAFT: sample, reward, rank, fine-tune, measure; each step leaves a file that is whole, or none.

A step whose file is there is not done again, so that a training that was killed at any moment goes on from its files.
Several processes share the sampling, scoring and training; the ranking is one for all.
"""

from __future__ import annotations

import json
import random
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finetune.json_rows import read_rows, write_rows
from finetune.processes import from_main, is_main, wait_for_all
from finetune.raft_config import RaftConfig
from finetune.raft_metrics import answer_f1, character_perplexity, commonest_share, distinct
from finetune.raft_prompts import PromptSets, RaftPrompt, stage_prompts
from finetune.raft_ranking import best_of_batch, best_of_each, undecided
from finetune.raft_reward import is_right, rule_reward
from finetune.raft_samples import (
    Drawn,
    Kept,
    Rewarded,
    draw_samples,
    log_likelihoods,
    model_scores,
    read_kept,
    read_rewards,
    read_samples,
    reward_samples,
    write_kept,
    write_rewards,
    write_samples,
)
from finetune.raft_sharing import for_each, made_once
from finetune.raft_tools import Policy, Tools
from finetune.training_folder import write_json
from kb_index.atomic import filling_folder

__all__ = ["ADAPTER_FILES", "StageRun", "copy_adapter", "keep", "measure", "run_stage"]

ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")


@dataclass(frozen=True, slots=True)
class StageRun:
    """What all stages of a training share. `config.adapter` is the start, stage 0; None is a new one in its folder."""

    config: RaftConfig
    prompts: PromptSets
    tools: Tools
    progress: bool = True

    def folder(self, stage: int) -> Path:
        """Give the folder of a stage."""
        return self.config.out / "stages" / str(stage)

    def adapter(self, stage: int) -> Path:
        """Give the adapter that a stage ends with."""
        start = self.config.adapter
        return self.folder(stage) / "adapter" if stage or start is None else start

    def begin(self) -> None:
        """Write the new adapter that the stages go on from, where there is none to start from."""
        if self.config.adapter is None and is_main() and not _is_adapter(self.adapter(0)):
            assert self.tools.write_new_adapter is not None  # noqa: S101 - tools without it are given an adapter
            out = self.adapter(0)
            self.tools.write_new_adapter(self.config.training(self.config.questions, out, None, self.config.seed))
        wait_for_all()

    def seed(self, stage: int) -> int:
        """Give a stage its own seed."""
        return self.config.seed * 1_000 + stage

    def policy(self, stage: int) -> Policy:
        """Open the generator with the adapter of a stage."""
        return self.tools.open_policy(self.adapter(stage))


def run_stage(run: StageRun, stage: int) -> dict[str, Any]:
    """Do what is left of a stage, and give its metrics; stage 0 is the start, which is only measured."""
    started = time.perf_counter()

    def figures() -> dict[str, Any]:
        found: dict[str, Any] = {"stage": stage}
        if stage:
            drawn = _sampled(run, stage)
            rewarded = _rewarded(run, stage, drawn)
            kept = _kept(run, stage, drawn, rewarded)
            _train(run, stage, kept)
            found |= _sample_figures(drawn, rewarded, kept)
        return found | measure(run, stage) | {"seconds": round(time.perf_counter() - started, 2)}

    done = run.folder(stage) / "metrics.json"
    made_once(done, figures, lambda found, path: write_json(path, found))
    return dict(json.loads(done.read_text(encoding="utf-8")))


def keep(config: RaftConfig, rewarded: Rewarded, seed: int) -> list[tuple[int, int]]:
    """Choose the samples to train on, as (prompt, sample), by the ranking of the configuration."""
    counted = np.arange(len(rewarded.reward))
    if config.skip_decided:
        counted = np.flatnonzero(_telling(rewarded, config.weight_of_rule))
    rewards = rewarded.reward[counted]
    if config.ranking == "prompt":
        chosen = best_of_each(rewards, seed)
    else:
        chosen = best_of_batch(rewards, len(rewarded.reward) // config.accept_one_in, seed)
    return [(int(counted[i]), sample) for i, sample in chosen]


def _telling(rewarded: Rewarded, rule_weight: float) -> NDArray[np.bool_]:
    """Tell which prompts have a sample to learn from that is worth more than another, (n_prompts,).

    Right samples that differ are told apart by a reward model. The best of wrong ones is not learnt from.
    """
    worths = [rewarded.rule] if rewarded.model is None else [rewarded.rule * rule_weight, rewarded.model]
    differs: NDArray[np.bool_] = np.any([np.ptp(worth, axis=1) > 0 for worth in worths], axis=0)
    return differs & is_right(rewarded.rule).any(axis=1) if rule_weight else differs


def measure(run: StageRun, stage: int) -> dict[str, float]:
    """Answer the held-out questions greedily with the generator that a stage ends with, and give the figures."""
    path = run.folder(stage) / "held_out.jsonl"
    made_once(path, lambda: _answered(run, run.policy(stage)), write_rows)
    rows = read_rows(path)
    return {
        "f1": _mean(rows, "f1"),
        "exact_match": _mean(rows, "exact_match"),
        "held_out_reward": _mean(rows, "reward"),
        "perplexity": character_perplexity(
            [row["target"] for row in rows], [row["target_log_likelihood"] for row in rows]
        ),
    }


def copy_adapter(source: Path, folder: Path) -> None:
    """Copy an adapter's two files into a folder, where they appear whole. Raises: StorageError."""
    with filling_folder(folder, ADAPTER_FILES) as part:
        for name in ADAPTER_FILES:
            shutil.copyfile(source / name, part / name)


def _is_adapter(folder: Path) -> bool:
    return all((folder / name).exists() for name in ADAPTER_FILES)


def _sampled(run: StageRun, stage: int) -> list[Drawn]:
    def sample() -> list[Drawn]:
        prompts = stage_prompts(run.prompts.training, stage, run.config.batch, run.config.seed)
        return draw_samples(run.policy(stage - 1), prompts, run.config, run.seed(stage), run.progress)

    path = run.folder(stage) / "samples.jsonl"
    made_once(path, sample, write_samples)
    return read_samples(path)


def _rewarded(run: StageRun, stage: int, drawn: Sequence[Drawn]) -> Rewarded:
    def reward() -> Rewarded:
        reference = _reference(run, drawn) if stage > 1 else [d.log_likelihoods for d in drawn]
        weight, opening = run.config.weight_of_rule, run.tools.open_reward_model
        scores = model_scores(opening(), drawn, run.progress) if weight < 1 and opening else None
        return reward_samples(drawn, reference, scores, weight, run.config.kl_weight)

    path = run.folder(stage) / "rewards.jsonl"
    made_once(path, reward, lambda rewarded, at: write_rewards(drawn, rewarded, at))
    return read_rewards(path)


def _reference(run: StageRun, drawn: Sequence[Drawn]) -> list[tuple[float, ...]]:
    """Give the log-likelihoods of samples under the start."""
    start = run.policy(0)

    def score(some: Sequence[Drawn]) -> list[tuple[float, ...]]:
        return [log_likelihoods(start, d.prompt.text, d.texts) for d in some]

    return for_each(drawn, score, lambda d: d.prompt.text, "reference", run.progress)


def _kept(run: StageRun, stage: int, drawn: Sequence[Drawn], rewarded: Rewarded) -> list[Kept]:
    path = run.folder(stage) / "kept.jsonl"
    made_once(path, lambda: _ranked(run, stage, drawn, rewarded), write_kept)
    return read_kept(path)


def _ranked(run: StageRun, stage: int, drawn: Sequence[Drawn], rewarded: Rewarded) -> list[Kept]:
    """Rank the samples of all prompts and mix in gold answers of others."""
    rows = [
        Kept(*drawn[i].prompt[:2], drawn[i].texts[sample], float(rewarded.reward[i, sample]))
        for i, sample in keep(run.config, rewarded, run.seed(stage))
    ]
    taken, share = {row.id for row in rows}, run.config.replay_share
    others = [prompt for prompt in run.prompts.training if prompt.id not in taken]
    n_replayed = min(len(others), round(len(rows) * share / (1 - share)))
    replayed = random.Random(f"replay {run.seed(stage)}").sample(others, n_replayed)
    return rows + [Kept(p.id, p.text, p.target, None) for p in replayed]


def _train(run: StageRun, stage: int, kept: Sequence[Kept]) -> None:
    """Go on from the adapter before on what was kept; with too little to train on, that adapter stays."""
    out = run.adapter(stage)
    if not from_main(lambda: _is_adapter(out)):
        if len(kept) >= 2:
            settings = run.config.training(
                run.folder(stage) / "kept.jsonl", out, run.adapter(stage - 1), run.seed(stage)
            )
            run.tools.train(settings, [((row.prompt, row.answer),) for row in kept])
        elif is_main():
            copy_adapter(run.adapter(stage - 1), out)
    wait_for_all()
    if is_main():
        shutil.rmtree(out / "checkpoints", ignore_errors=True)  # larger than the adapter, and of no use any more


def _answered(run: StageRun, policy: Policy) -> list[dict[str, Any]]:
    def answer(prompts: Sequence[RaftPrompt]) -> list[dict[str, Any]]:
        answers = policy.generate([prompt.text for prompt in prompts], run.config.max_new_tokens)
        return [_measured(policy, prompt, text) for prompt, text in zip(prompts, answers, strict=True)]

    return for_each(run.prompts.held_out, answer, lambda prompt: prompt.text, "held out", run.progress)


def _measured(policy: Policy, prompt: RaftPrompt, answer: str) -> dict[str, Any]:
    reward = rule_reward(prompt, answer)
    return {
        "id": prompt.id,
        "prompt": prompt.text,
        "gold": prompt.gold,
        "answer": answer,
        "f1": answer_f1(prompt, answer),
        "exact_match": float(answer_f1(prompt, answer) > 0),
        "reward": reward,
        "target": prompt.target,
        "target_log_likelihood": log_likelihoods(policy, prompt.text, [prompt.target])[0],
    }


def _sample_figures(drawn: Sequence[Drawn], rewarded: Rewarded, kept: Sequence[Kept]) -> dict[str, float]:
    texts = [text for d in drawn for text in d.texts]
    right = is_right(rewarded.rule)
    return {
        "reward": float(rewarded.reward.mean()),
        "best_reward": float(rewarded.reward.max(axis=1).mean()),
        "right": float(right.mean()),
        "undecided": float(undecided(right).mean()),
        "kept": sum(row.reward is not None for row in kept),
        "replayed": sum(row.reward is None for row in kept),
        "kl": float(rewarded.drift.mean()),
        "distinct_1": distinct(texts, 1),
        "distinct_2": distinct(texts, 2),
        "tokens": float(np.mean([n for d in drawn for n in d.n_tokens])),
        "commonest_token": commonest_share(texts),
    }


def _mean(rows: Sequence[dict[str, Any]], name: str) -> float:
    return float(sum(row[name] for row in rows) / len(rows))
