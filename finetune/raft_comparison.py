"""What RAFT adds: its start, its start with the best of K samples at inference, and its best stage, side by side.

At inference no gold answer is known, so the rule cannot choose among samples. The reward model does where there is one;
else the answer that was drawn most often, the likeliest of equally frequent ones. How often any of the K samples is
right, which only the gold answers tell, bounds what every way to choose can reach.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from finetune.json_rows import read_rows
from finetune.processes import is_main
from finetune.raft_metrics import answer_f1, paired_interval
from finetune.raft_samples import Drawn, draw_samples, majority, model_scores, read_samples, write_samples
from finetune.raft_sharing import made_once
from finetune.raft_stage import StageRun
from finetune.training_folder import write_json

__all__ = ["compare"]


def compare(run: StageRun, best: int) -> dict[str, Any]:
    """Give F1 and exact match on the held-out questions of each way to answer, and what the best stage gained.

    `raft_gain` holds, for each figure, the paired difference to the start and the ends of its 95 % interval.
    """
    drawn = _held_out_samples(run)
    chosen, chosen_by = _chosen(run, drawn)
    f1 = {
        "sft": _greedy_f1(run, 0),
        "sft_best_of_k": [answer_f1(d.prompt, answer) for d, answer in zip(drawn, chosen, strict=True)],
        "sft_any_of_k": [max(answer_f1(d.prompt, text) for text in d.texts) for d in drawn],
        "raft": _greedy_f1(run, best),
    }
    right = {name: [float(value > 0) for value in values] for name, values in f1.items()}
    comparison: dict[str, Any] = {"k": run.config.samples, "chosen_by": chosen_by, "questions": len(drawn)}
    for name, values in f1.items():
        comparison[name] = {"f1": _mean(values), "exact_match": _mean(right[name])}
    comparison["raft_gain"] = {
        "f1": list(paired_interval(f1["sft"], f1["raft"])),
        "exact_match": list(paired_interval(right["sft"], right["raft"])),
    }
    if is_main():
        write_json(run.config.out / "comparison.json", comparison)
    return comparison


def _held_out_samples(run: StageRun) -> list[Drawn]:
    def sample() -> list[Drawn]:
        return draw_samples(run.policy(0), run.prompts.held_out, run.config, run.seed(0), run.progress)

    path = run.folder(0) / "held_out_samples.jsonl"
    made_once(path, sample, write_samples)
    return read_samples(path)


def _chosen(run: StageRun, drawn: Sequence[Drawn]) -> tuple[list[str], str]:
    if run.tools.open_reward_model is None:
        return [majority(d) for d in drawn], "majority of the samples, then likelihood"
    scores = model_scores(run.tools.open_reward_model(), drawn, run.progress)
    return [d.texts[int(best)] for d, best in zip(drawn, scores.argmax(axis=1), strict=True)], "reward model"


def _greedy_f1(run: StageRun, stage: int) -> list[float]:
    return [row["f1"] for row in read_rows(run.folder(stage) / "held_out.jsonl")]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
