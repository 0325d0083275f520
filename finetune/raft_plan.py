"""What a RAFT will take, told before any weights are loaded: the training of a stage, and the sampling before it."""

from __future__ import annotations

from finetune.data import RowOptions
from finetune.plan import GIB, plan_lines, plan_training
from finetune.questions import sample_rows
from finetune.raft_config import RaftConfig
from finetune.raft_tools import start_adapter
from kbqa_agent.sampling import CACHED_TOKENS

__all__ = ["raft_plan_lines"]


def raft_plan_lines(config: RaftConfig) -> list[str]:
    """Write the plan of a stage for people, a fact a line; a stage that skips prompts trains on fewer rows.

    Raises: as `finetune.questions.sample_rows` and `finetune.plan.plan_training`.
    """
    options = RowOptions(closed_book=config.closed_book, seed=config.seed)
    rows, n_prompts = sample_rows(config.questions, config.index, options, config.limit)
    batch = min(config.batch, n_prompts)
    n_kept = batch if config.ranking == "prompt" else batch // config.accept_one_in
    n_rows = round(n_kept / (1 - config.replay_share))
    training = config.training(config.questions, config.out, start_adapter(config), config.seed)
    plan = plan_training(training, [(row,) for row in rows], n_rows)
    return [
        *plan_lines(plan),
        f"a stage       {batch:,} prompts, {batch * config.samples:,} samples; the rows and steps above at most",
        f"sampling      {plan.cached * CACHED_TOKENS / GIB:.2f} GiB for keys and values, beside the weights",
    ]
