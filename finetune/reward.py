"""Reward models: preferences to a model that scores answers, and such a model opened again."""

from __future__ import annotations

from finetune.reward_model import RewardModel, load_reward_model

__all__ = ["RewardModel", "load_reward_model"]
