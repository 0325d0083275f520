"""What RAFT works with: the generator at each stage, the training of an adapter, the reward model.

A test hands in its own tools; the real ones are opened here, one model in memory at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from finetune.config import SFTConfig
from finetune.raft_config import RaftConfig
from finetune.raft_reward import RewardModel
from finetune.record import read_record
from finetune.training_folder import RECORD_FILE
from kb_index.errors import InputError
from kbqa_agent.causal_models import EMBEDDED
from kbqa_agent.generation import HuggingFaceGenerator, load_generator
from kbqa_agent.sampling import Sampled
from kbqa_agent.shipped import locate_adapter, shipped_adapter
from kbqa_agent.types import Generator

__all__ = ["Policy", "Tools", "real_tools", "start_adapter"]

NO_ADAPTER = "none"


class Policy(Generator, Protocol):
    """A generator that also draws answers at random."""

    def sample(
        self,
        prompts: Sequence[str],
        k: int,
        *,
        temperature: float = 1.0,
        top_p: float = 1.0,
        max_new_tokens: int = 48,
        seed: int = 0,
    ) -> list[list[Sampled]]:
        """Draw `k` answers for each prompt."""


@dataclass(frozen=True, slots=True)
class Tools:
    """How to open a generator with an adapter, train an adapter on conversations, and open the reward model.

    `write_new_adapter` puts one that changes nothing yet into the folder that its settings name.
    """

    open_policy: Callable[[Path], Policy]
    train: Callable[[SFTConfig, Sequence[Sequence[tuple[str, str]]]], object]
    open_reward_model: Callable[[], RewardModel] | None = None
    write_new_adapter: Callable[[SFTConfig], object] | None = None


def real_tools(config: RaftConfig, progress: bool) -> Tools:
    """Give the tools that open models; what was open is closed before something else opens."""
    opened = _OneModel(config.model, progress)

    def train(settings: SFTConfig, conversations: Sequence[Sequence[tuple[str, str]]]) -> object:
        from finetune.sft import train as train_adapter

        opened.close()
        return train_adapter(settings, conversations, progress)

    def open_reward_model() -> RewardModel:
        from finetune.reward_model import load_reward_model

        opened.close()
        assert config.reward_model is not None  # noqa: S101 - for mypy
        judge: RewardModel = load_reward_model(config.reward_model)
        return judge

    def write_new_adapter(settings: SFTConfig) -> None:
        from finetune.models import open_trainable, save_adapter

        opened.close()
        save_adapter(open_trainable(settings)[0], settings.out, settings.model)

    return Tools(opened.open, train, open_reward_model if config.reward_model else None, write_new_adapter)


def start_adapter(config: RaftConfig) -> Path | None:
    """Give the adapter that RAFT starts from; None: a new one, on a model that is fine-tuned as a whole.

    Raises: InputError where nothing that is fine-tuned was named.
    """
    if config.adapter is not None:
        return None if str(config.adapter) == NO_ADAPTER else locate_adapter(config.adapter)
    shipped = shipped_adapter() if config.model in (None, EMBEDDED) else None
    if shipped is None and not _is_tuned_whole(config.start):
        raise InputError(
            f"model {str(config.model)!r} without an adapter: RAFT goes on from a fine-tuned generator; train one with "
            f"`kbqa finetune sft` and pass it with --adapter, or say --adapter {NO_ADAPTER} where the model is one"
        )
    return shipped


def _is_tuned_whole(folder: Path | None) -> bool:
    """Tell whether a model's folder is what a training of all weights wrote."""
    record = folder / RECORD_FILE if folder else None
    return bool(record and record.is_file() and read_record(record)["config"].get("full"))


class _OneModel:
    """The generator with the adapter that was asked for last; opening another closes it first, to spare memory."""

    def __init__(self, model: str | None, progress: bool) -> None:
        self._model, self._progress = model, progress
        self._adapter: Path | None = None
        self._generator: HuggingFaceGenerator | None = None

    def open(self, adapter: Path) -> HuggingFaceGenerator:
        if self._generator is None or self._adapter != adapter:
            self.close()
            self._generator, self._adapter = load_generator(self._model, adapter, self._progress), adapter
        return self._generator

    def close(self) -> None:
        self._generator = self._adapter = None
