"""Settings for the models that people name, and what is read from any other model.

A preset only fills in settings that the user left open. What a model needs in order to be trained at all (layers for
LoRA, end token, context length) is never listed here but read from the model and its tokenizer, so every causal model
can be trained. No model gets a chat template: the prompts of `kbqa_agent.prompts` are the same in `ask`, in scoring and
in training. A template would have to be in all three, and on record with every adapter, to change only the wrapping,
which fine-tuning teaches anyway.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from kbqa_agent.tokenizing import context_length

__all__ = ["PRESETS", "ModelFacts", "Preset", "facts_of"]


class Preset(NamedTuple):
    """A model's name on the hub and the settings of an `SFTConfig` that suit it."""

    model: str
    settings: Mapping[str, Any]


PRESETS: Mapping[str, Preset] = {
    "gpt2": Preset("gpt2", {"full": True, "learning_rate": 1e-4, "rows_per_step": 32}),
    "gpt2-xl": Preset(
        "gpt2-xl",
        {"full": True, "learning_rate": 3e-5, "rows_per_step": 32, "rows_at_once": 4, "gradient_checkpointing": True},
    ),
    "galactica-1.3b": Preset(
        "facebook/galactica-1.3b",
        {"full": True, "learning_rate": 2e-5, "rows_per_step": 32, "rows_at_once": 4, "gradient_checkpointing": True},
    ),
    "llama-7b": Preset(
        "huggyllama/llama-7b",
        {"lora_on": "attention", "learning_rate": 3e-4, "rows_per_step": 32, "rows_at_once": 4},
    ),
}
"""The reference report's models: GPT-2 and Galactica with all weights, LLaMA with LoRA on its attention."""


class ModelFacts(NamedTuple):
    """What a training has to know of a model: an empty `padding_token` means that none is named, and none is needed."""

    architecture: str
    context: int
    end_token: str
    padding_token: str
    n_tokens: int


def facts_of(network: Any, tokenizer: Any) -> ModelFacts:
    """Read the facts from a model, with or without weights, and its tokenizer, whose end token is set."""
    ends = (tokenizer.eos_token or "", tokenizer.pad_token or "")
    return ModelFacts(type(network).__name__, context_length(network), *ends, len(tokenizer))
