"""Reward models: preferences to a model that scores answers, with its held-out accuracy beside a control.

The control is the same training on shuffled labels: what it reaches on the held-out pairs is chance. Opening a trained
model is `load_reward_model`.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

from finetune.checkpoints import last_checkpoint, step_of
from finetune.comparisons import Comparison, EncodedComparisons, shuffled
from finetune.failures import memory_errors
from finetune.plots import draw_if_possible
from finetune.preferences import Preference, write_preferences
from finetune.processes import is_main, is_restarted, main_first, take_own_device
from finetune.record import sha256_of, training_record
from finetune.reward_config import RewardConfig
from finetune.reward_figures import Accuracy, Margins, accuracy_with_interval
from finetune.reward_model import RewardModel, load_reward_model, save_reward_model
from finetune.reward_network import open_reward_base, with_reward_adapter
from finetune.reward_rows import encoded_parts, parted
from finetune.trackers import check_tracker, tracking
from finetune.training_folder import (
    CHECKPOINTS,
    PACKAGES,
    RECORD_FILE,
    begin_record,
    check_training_folder,
    write_json,
)
from kb_index.atomic import storage_errors
from kbqa_agent.tokenizing import context_length

__all__ = ["RewardModel", "RewardResult", "load_reward_model", "train_reward_model"]

logger = logging.getLogger(__name__)

METRICS_FILE = "metrics.jsonl"
CONTROL = "control"
FEW_PAIRS = 30
"""The accuracy on fewer held-out pairs says next to nothing: its interval is some .35 wide even then."""
SAME_ON_RESUME = (
    *("model", "adapter", "rank", "alpha", "learning_rate", "rows_per_step", "max_tokens"),
    *("max_steps", "epochs", "warmup_share", "max_grad_norm", "held_out_share", "max_held_out", "seed"),
)


@dataclass(frozen=True, slots=True)
class RewardResult:
    """What a training did; the accuracies are shares of the held-out pairs, with 95 % intervals."""

    out: Path
    steps: int
    seconds: float
    n_prompts: int
    n_pairs: int
    n_held_out: int
    """Pairs, like `n_pairs`."""
    n_cut: int
    """Pairs whose prompt lost triples, in training and held-out rows."""
    n_dropped: int
    """Pairs that were too long."""
    accuracy: Accuracy
    control: Accuracy | None
    """After training on shuffled labels; None without."""
    longer: Accuracy
    """Of a rule that prefers the answer with more tokens: people often do, and a model may have learnt no more."""

    def __str__(self) -> str:
        control = f"; after shuffled labels {self.control}" if self.control else ""
        return (
            f"{self.out}: {self.steps} steps on {self.n_pairs:,} pairs of {self.n_prompts:,} prompts in "
            f"{self.seconds:.0f} s; accuracy on {self.n_held_out:,} held-out pairs {self.accuracy}{control}; "
            f"the longer answer is the better one in {self.longer}"
        )


class _Fitted(NamedTuple):
    network: Any
    tokenizer: Any
    max_tokens: int
    training: EncodedComparisons
    held_out: EncodedComparisons
    steps: int
    seconds: float
    margins: Margins


def train_reward_model(config: RewardConfig, preferences: Sequence[Preference], progress: bool = True) -> RewardResult:
    """Train a reward model on preferences, a share of whose prompts is held out, and write it into `config.out`.

    Of several processes (see `finetune.processes`) all train, on the same preferences, and the main one writes. Where
    the launcher started them again, after one had died, they go on from the last checkpoint.

    Raises:
        InputError: there are fewer than two prompts, too long pairs only, another training is resumed, or the processes
            cannot share a step or hold only parts of the weights.
        ModelError, MissingExtraError: the model cannot be loaded.
        StorageError: `config.out` cannot be written, or holds other things than a training.
        TrainingError: the loss is no number, or the memory is full.
    """
    if is_restarted():
        config = replace(config, resume=True)
    check_tracker(config.report_to)
    training, held_out = parted(preferences, config)
    check_training_folder(config.out)
    with storage_errors(config.out, "choose another --out"):
        with main_first():
            if is_main():
                _prepare_folder(config)
                record = _record(config, preferences)
                write_preferences(preferences, config.out / "pairs.jsonl")
        fitted = _fit(config, config.out, training, held_out, progress)
        if is_main():
            save_reward_model(fitted.network, fitted.tokenizer, config.out, config.model, fitted.max_tokens)
        control = None
        if config.has_control(len(preferences)):
            swapped = shuffled(training, config.seed)
            control = accuracy_with_interval(_fit(config, config.out / CONTROL, swapped, held_out, progress).margins)
        result = _result(config, fitted, control)
        if is_main():
            _warn_of_few(result)
            write_json(config.out / RECORD_FILE, record | {"result": _as_json(result)})
            runs = [config.out, config.out / CONTROL] if control else [config.out]
            draw_if_possible(runs, config.out / "reward.png")
    return result


def _warn_of_few(result: RewardResult) -> None:
    if result.n_held_out < FEW_PAIRS:
        logger.warning(
            "only %d pairs were held out, and the accuracy on fewer than %d says little, whatever its interval; "
            "give more pairs",
            result.n_held_out,
            FEW_PAIRS,
        )


def _fit(
    config: RewardConfig, out: Path, training: Sequence[Comparison], held_out: Sequence[Comparison], progress: bool
) -> _Fitted:
    from transformers import set_seed

    take_own_device()
    set_seed(config.seed)  # the head and half of a new adapter start at random
    with memory_errors("choose a smaller model"):
        base = open_reward_base(config.model, config.adapter, progress)
        network = with_reward_adapter(base, config.rank, config.alpha)
    max_tokens = min(config.max_tokens, context_length(base.network))
    rows, measured = encoded_parts(base.tokenizer, (training, held_out), max_tokens)
    advice = f"lower --rows-at-once (now {config.rows_at_once}) or --max-tokens (now {max_tokens})"
    with memory_errors(advice), tracking(config.report_to, out):
        steps, seconds, margins = _train(config, out, network, (rows, measured), progress)
    return _Fitted(network, base.tokenizer, max_tokens, rows, measured, steps, seconds, margins)


def _train(
    config: RewardConfig, out: Path, network: Any, parts: tuple[EncodedComparisons, EncodedComparisons], progress: bool
) -> tuple[int, float, Margins]:
    from finetune.reward_trainer import RewardMetrics, make_trainer

    trainer = make_trainer(config, out, network, parts)
    tokens = [0, *accumulate(row.length for row in trainer.train_dataset)][:: config.rows_per_step]
    metrics = RewardMetrics(out / METRICS_FILE, tokens, progress and is_main())
    checkpoint = last_checkpoint(out / CHECKPOINTS) if config.resume else None
    if is_main():
        trainer.add_callback(metrics)
        metrics.keep_until(step_of(checkpoint) if checkpoint else -1)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    if trainer.measured_at != trainer.state.global_step:
        trainer.evaluate()
    return trainer.state.global_step, metrics.seconds, trainer.margins


def _prepare_folder(config: RewardConfig) -> None:
    """Make the folder; a new training there replaces the metrics and checkpoints of an old one."""
    for folder in (config.out, config.out / CONTROL):
        if not (config.resume and (folder / CHECKPOINTS).is_dir()):
            shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
            (folder / METRICS_FILE).unlink(missing_ok=True)
    config.out.mkdir(parents=True, exist_ok=True)
    if config.control is not False:
        (config.out / CONTROL).mkdir(exist_ok=True)


def _record(config: RewardConfig, preferences: Sequence[Preference]) -> dict[str, Any]:
    """Put on record what is trained; a resumed training must be the recorded one."""
    data = {"rows_sha256": sha256_of([pair.prompt, pair.chosen, pair.rejected] for pair in preferences)}
    record = training_record(asdict(config), data, PACKAGES)
    resumes = config.resume and (config.out / CHECKPOINTS).is_dir()
    begin_record(config.out, record, resumes, SAME_ON_RESUME, {"rows_sha256": "pairs"})
    return record


def _result(config: RewardConfig, fitted: _Fitted, control: Accuracy | None) -> RewardResult:
    training, held_out = fitted.training, fitted.held_out
    return RewardResult(
        config.out,
        fitted.steps,
        round(fitted.seconds, 2),
        n_prompts=len({row.prompt_number for row in training.rows}),
        n_pairs=sum(len(row.pairs) for row in training.rows),
        n_held_out=len(fitted.margins.margins),
        n_cut=training.n_cut + held_out.n_cut,
        n_dropped=training.n_dropped + held_out.n_dropped,
        accuracy=accuracy_with_interval(fitted.margins),
        control=control,
        longer=accuracy_with_interval(_length_margins(held_out)),
    )


def _length_margins(held_out: EncodedComparisons) -> Margins:
    pairs = [(row, pair) for row in held_out.rows for pair in row.pairs]
    longer = [len(row.answers[better]) - len(row.answers[worse]) for row, (better, worse) in pairs]
    return Margins.of(longer, [row.prompt_number for row, _ in pairs])


def _as_json(result: RewardResult) -> dict[str, Any]:
    return {name: value._asdict() if isinstance(value, Accuracy) else value for name, value in asdict(result).items()}
