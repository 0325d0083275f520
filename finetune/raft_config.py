"""The settings of RAFT, with the paper's names, in one frozen value whose ranges are checked when it is made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from finetune.config import TRACKERS, SFTConfig
from finetune.ranges import Range, at_least, check_ranges, over_zero, shares
from kb_index.errors import InputError
from kbqa_agent.prompts import MAX_VALUE_CHARS

__all__ = ["RaftConfig", "Ranking"]

Ranking = Literal["prompt", "batch"]
MIXED_WEIGHT = 0.5
"""The least weight with which the rule's right answers stay over its wrong ones, whatever a reward model says."""
RANGES: tuple[Range, ...] = (
    *at_least(1, "stages", "batch", "samples", "accept_one_in", "max_new_tokens", "held_out_questions"),
    *over_zero("temperature", "top_p"),
    *shares("replay_share"),
)


@dataclass(frozen=True, slots=True)
class RaftConfig:
    """How a generator is aligned by Reward rAnked FineTuning.

    What differs from a supervised training of this package: a learning rate of 2e-4 (not 1e-3), since each stage goes
    on from an adapter that is trained already, and no warm-up, since a stage has few steps and the first would have a
    rate of 0.

    Reference: Dong et al. 2023, arXiv:2304.06767, Algorithm 1.
    """

    questions: Path
    """The training questions, or text2text rows that are prompts already."""
    out: Path
    """The folder for the best adapter, metrics, curves, record and stages."""
    index: Path | None = None
    """The index whose triples go into the prompts."""
    closed_book: bool = False
    """Ask without triples, also with an index."""
    model: str | None = None
    """A Hugging Face name, a folder or a .gguf file; None is the embedded model."""
    adapter: Path | None = None
    """The adapter to start from, which is the reference too, or "shipped"; None is the shipped one for the embedded
    model, and a new one for a model that `kbqa finetune sft` tuned as a whole. "none" begins a new one on any model."""
    reward_model: Path | None = None
    """A folder as `kbqa finetune reward` writes it."""
    held_out: Path | None = None
    """Questions to measure each stage on; None draws `held_out_questions` of `questions`, which no stage then sees, and
    which the start did not see either."""
    stages: int = 4
    """T: how often to sample, reward, rank and fine-tune."""
    batch: int = 256
    """b: the prompts of a stage."""
    samples: int = 8
    """K: the answers that are drawn for each prompt."""
    accept_one_in: int = 4
    """k of the acceptance ratio 1/k; with the ranking "prompt" it is K, one sample of each prompt."""
    temperature: float = 1.0
    top_p: float = 1.0
    max_new_tokens: int = 2 * MAX_VALUE_CHARS + 8
    """The longest answer that is drawn; by default the longest value of a prompt at two tokens a character."""
    ranking: Ranking = "prompt"
    """"prompt" keeps the best sample of each prompt, "batch" the floor(b/k) best samples of the whole batch."""
    rule_weight: float | None = None
    """The rule's share of the reward; the reward model has the rest. None is 1, or with a reward model `MIXED_WEIGHT`,
    where the reward model ranks answers that the rule holds for equal, and overrules it nowhere."""
    kl_weight: float = 0.0
    """beta: how much a sample's (log p - log p_ref) per token, in nats, is taken off its reward."""
    skip_decided: bool = True
    """Leave out the prompts whose samples are all wrong, or all worth the same: they tell no better one from a worse.
    By the rule alone, samples that are all right are worth the same; without the rule, none is wrong."""
    replay_share: float = 0.1
    """The share of a stage's training rows that are gold answers of other prompts, as supervised training has them."""
    held_out_questions: int = 200
    alarm_stages: int = 2
    """Stop when the reward rose and the held-out F1 fell in each of so many stages; 0 never stops."""
    learning_rate: float = 2e-4
    epochs: float = 1.0
    """How often a stage trains on what it kept."""
    rows_per_step: int = 8
    rows_at_once: int = 8
    """Rows in memory together when training; a divisor of `rows_per_step`."""
    gradient_checkpointing: bool = False
    """Compute activations again in the backward pass instead of keeping them: less memory, slower."""
    max_tokens: int = 512
    limit: int | None = None
    """Draw so many questions of the file at random."""
    seed: int = 0
    resume: bool = False
    """Go on at the first step that is not finished in `out`."""
    report_to: str = "none"
    """Where else the stages' figures go: one of `TRACKERS`."""

    def __post_init__(self) -> None:
        check_ranges(self, RANGES)
        if self.ranking not in get_args(Ranking):
            raise InputError(f"ranking={self.ranking!r}: expected one of {', '.join(get_args(Ranking))}")
        if self.report_to not in TRACKERS:
            raise InputError(f"report_to={self.report_to!r}: expected one of {', '.join(TRACKERS)}")
        if not 0 <= self.weight_of_rule <= 1:
            raise InputError(f"rule_weight={self.rule_weight}: expected a share from 0 to 1")
        if self.weight_of_rule < 1 and self.reward_model is None:
            raise InputError(
                f"rule_weight={self.rule_weight} without a reward model; name one, or leave the weight at 1"
            )
        if self.kl_weight < 0 or self.alarm_stages < 0:
            raise InputError(
                f"kl_weight={self.kl_weight}, alarm_stages={self.alarm_stages}: expected numbers of 0 or more"
            )
        self._check_what_ranking_needs()
        self.training(self.questions, self.out, self.adapter, self.seed)

    @property
    def weight_of_rule(self) -> float:
        """The rule's share of the reward, also where it was left open."""
        if self.rule_weight is not None:
            return self.rule_weight
        return 1.0 if self.reward_model is None else MIXED_WEIGHT

    @property
    def start(self) -> Path | None:
        """The folder of the adapter, or else of the model, that is trained further; None for no folder."""
        if self.adapter is not None:
            return self.adapter
        return Path(self.model) if self.model and Path(self.model).is_dir() else None

    def training(self, data: Path, out: Path, adapter: Path | None, seed: int) -> SFTConfig:
        """Give the settings with which a stage goes on from `adapter`. Raises: InputError."""
        return SFTConfig(
            data=data,
            out=out,
            model=self.model,
            adapter=adapter,
            learning_rate=self.learning_rate,
            epochs=self.epochs,
            rows_per_step=self.rows_per_step,
            rows_at_once=self.rows_at_once,
            gradient_checkpointing=self.gradient_checkpointing,
            max_tokens=self.max_tokens,
            warmup_share=0.0,
            validation_share=0.0,
            seed=seed,
            resume=True,
        )

    def _check_what_ranking_needs(self) -> None:
        if self.ranking == "prompt" and self.samples < 2:
            raise InputError(
                "samples=1: expected at least 2 to rank the samples of a prompt; or choose ranking 'batch'"
            )
        if self.ranking == "batch" and self.batch < self.accept_one_in:
            raise InputError(
                f"batch={self.batch} with one accepted in {self.accept_one_in}: keeps floor(b/k) = 0 samples; "
                "expected batch >= accept_one_in"
            )
        if self.skip_decided and self.samples < 2:
            raise InputError(
                "samples=1 with skip_decided: one sample always decides; draw more, or keep decided prompts"
            )
