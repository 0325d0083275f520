"""Reward rAnked FineTuning: sample, reward, rank, fine-tune, again and again; the best stage's adapter is the result.

It starts from a fine-tuned generator, and measures on questions that neither it nor the start was trained on, as far as
the start's folder tells. Everything is on disk: `stages/N` holds
what was drawn, rewarded, kept, trained and measured, and `resume` goes on there.

Reference: Dong et al. 2023, RAFT: Reward rAnked FineTuning for Generative Foundation Model Alignment, arXiv:2304.06767.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from finetune.arguments import parts_of_step
from finetune.failures import memory_errors
from finetune.json_rows import read_rows, write_rows
from finetune.plots import draw_if_possible
from finetune.processes import from_main, is_main, is_restarted
from finetune.raft_comparison import compare
from finetune.raft_config import RaftConfig
from finetune.raft_metrics import best_stage, reward_hacking
from finetune.raft_prompts import PromptSets, RaftPrompt, prepare_prompts
from finetune.raft_stage import ADAPTER_FILES, StageRun, copy_adapter, run_stage
from finetune.raft_tools import Tools, real_tools, start_adapter
from finetune.raft_tracking import Report, stage_reporter
from finetune.record import training_record
from finetune.trackers import check_tracker
from finetune.training_folder import RECORD_FILE, begin_record, check_training_folder, write_json
from kb_index.atomic import storage_errors
from kb_index.manifest import MANIFEST_FILE

__all__ = ["RaftResult", "run"]

logger = logging.getLogger(__name__)

DATA = {
    "rows_sha256": "questions' file",
    "start_sha256": "start adapter",
    "reward_model_sha256": "reward model",
    "index_sha256": "index",
}
"""Fingerprints of what a training takes in, and what the user calls it."""
MAY_CHANGE = {"out", "stages", "alarm_stages", "resume", "report_to", "rows_at_once", "gradient_checkpointing"}
PACKAGES = ("torch", "transformers", "peft")


@dataclass(frozen=True, slots=True)
class RaftResult:
    """What came out: the metrics of all stages, which one is best, and how it compares with its start.

    `alarm` says whether the reward rose while held-out F1 fell. `comparison` has the held-out figures of the start, of
    the start with the best of K samples, and of the best stage.
    """

    out: Path
    best: int
    alarm: bool
    stages: list[dict[str, Any]]
    comparison: dict[str, Any]


def run(config: RaftConfig, progress: bool = True, tools: Tools | None = None) -> RaftResult:
    """Align a fine-tuned generator, and write the best stage's adapter to `config.out`.

    `tools` open and train the models; None means the real ones. Several processes (see `finetune.processes`) draw and
    score each their share, and train together; the main one ranks and writes. Where the launcher started them again,
    after one had died, they go on.

    Raises:
        InputError: there is no fine-tuned generator to start from; held-out questions are among those it was or will
            be trained on; a training is resumed with other settings or data; the processes cannot share a step.
        QuestionFileError, IndexFolderError, ModelError, MissingExtraError: what `config` names cannot be opened.
        StorageError: `config.out` cannot be written, or holds other things than a training.
        TrainingError: the loss is no number, or the memory is full.
    """
    parts_of_step(config)
    config = replace(config, adapter=start_adapter(config), resume=config.resume or is_restarted())
    tools = tools or real_tools(config, progress)
    check_tracker(config.report_to)
    with storage_errors(config.out, "choose another --out"):
        prompts, record = from_main(lambda: _begin(config, progress))
        stages = StageRun(config, prompts, tools, progress)
        advice = f"lower --samples (now {config.samples}) or --max-new-tokens (now {config.max_new_tokens})"
        with memory_errors(f"{advice}, or choose a smaller model"):
            stages.begin()
            with stage_reporter(config.report_to if is_main() else "none", config.out) as report:
                metrics, alarm = _run_stages(stages, report)
            best = best_stage(metrics)
            if is_main():
                copy_adapter(stages.adapter(best), config.out)
            result = RaftResult(config.out, best, alarm, metrics, compare(stages, best))
        if is_main():
            write_json(config.out / RECORD_FILE, record | {"result": asdict(result)})
    return result


def _run_stages(run: StageRun, report: Report) -> tuple[list[dict[str, Any]], bool]:
    metrics: list[dict[str, Any]] = []
    alarm = False
    for stage in range(run.config.stages + 1):
        metrics.append(run_stage(run, stage))
        if is_main():
            write_rows(metrics, run.config.out / "metrics.jsonl")
            report(metrics[-1])
            draw_if_possible([run.config.out], run.config.out / "curves.png")
            logger.info("stage %d: held-out F1 %.4f", stage, metrics[-1]["f1"])
        alarm = reward_hacking(metrics[1:], run.config.alarm_stages)
        if alarm:
            logger.warning("stopped at stage %d: the reward rises while held-out F1 falls", stage)
            break
    return metrics, alarm


def _begin(config: RaftConfig, progress: bool) -> tuple[PromptSets, dict[str, Any]]:
    """Make the folder, with the prompts and the record of what is trained; give both."""
    check_training_folder(config.out)
    prompts = _prompts(config, progress)
    record = _record(config)
    _keep_prompts(config, prompts)
    return prompts, record


def _record(config: RaftConfig) -> dict[str, Any]:
    """Put on record what is trained; a resumed training must be the recorded one, a new one replaces an old one."""
    files = {
        "rows_sha256": (config.questions, config.held_out),
        "start_sha256": (config.adapter and config.adapter / ADAPTER_FILES[-1],),
        "reward_model_sha256": (config.reward_model and config.reward_model / ADAPTER_FILES[-1],),
        "index_sha256": (config.index and config.index / MANIFEST_FILE,),
    }
    data = {name: _fingerprint(filter(None, paths)) for name, paths in files.items()}
    record = training_record(asdict(config), data, PACKAGES)
    resumes = _resumes(config)
    if not resumes:
        config.out.mkdir(parents=True, exist_ok=True)
        for name in ("training.jsonl", "held_out.jsonl", "comparison.json"):
            (config.out / name).unlink(missing_ok=True)
        shutil.rmtree(config.out / "stages", ignore_errors=True)
    same = [field.name for field in fields(RaftConfig) if field.name not in MAY_CHANGE]
    begin_record(config.out, record, resumes, same, DATA)
    return record


def _resumes(config: RaftConfig) -> bool:
    return config.resume and (config.out / RECORD_FILE).is_file()


def _fingerprint(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes() if path.is_file() else b"")
    return digest.hexdigest()


def _prompts(config: RaftConfig, progress: bool) -> PromptSets:
    """Make the prompts, or read those of a training that is resumed; nothing is written, in case they are refused."""
    training, held_out = config.out / "training.jsonl", config.out / "held_out.jsonl"
    if _resumes(config) and held_out.exists():
        return PromptSets(_read_prompts(training), _read_prompts(held_out))
    return prepare_prompts(config, progress)


def _keep_prompts(config: RaftConfig, prompts: PromptSets) -> None:
    held_out = config.out / "held_out.jsonl"
    if not held_out.exists():
        _write_prompts(prompts.training, config.out / "training.jsonl")
        _write_prompts(prompts.held_out, held_out)  # last: with it both are there


def _write_prompts(prompts: Sequence[RaftPrompt], path: Path) -> None:
    write_rows((prompt._asdict() for prompt in prompts), path)


def _read_prompts(path: Path) -> list[RaftPrompt]:
    return [RaftPrompt(row["id"], row["text"], tuple(row["gold"]), row["target"]) for row in read_rows(path)]
