"""A LangChain chat model as a `Generator`: `KBQAgent.open(index, model=LangChainGenerator(ChatOllama(model="qwen3")))`.

Nothing of LangChain is imported here; the model brings what is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from kb_index.errors import KBQAError, ModelError, NoLikelihoodError
from kbqa_agent.chat_prompts import chat_messages, choice_schema, chosen
from kbqa_agent.prompts import first_line

__all__ = ["LangChainGenerator", "asked"]

AT_ONCE = 8
"""How many prompts are with the chat model at a time."""
Reply = TypeVar("Reply")


class LangChainGenerator:
    """A chat model that writes answers; it tells no likelihoods, so the ranker orders the candidates alone.

    Temperature and length are the chat model's own settings.
    """

    def __init__(self, chat_model: Any, name: str | None = None) -> None:
        self.name = name or type(chat_model).__name__
        self._chat_model = chat_model

    def score(self, prompt: str, answers: Sequence[str]) -> NDArray[np.float32]:  # noqa: ARG002 - the protocol's
        """Raise NoLikelihoodError: LangChain's chat models do not tell how likely a given text is."""
        raise NoLikelihoodError(
            f"model {self.name!r}: a LangChain chat model gives no likelihoods; the ranker decides alone, "
            "and free_text=True lets the model write"
        )

    def generate(
        self,
        prompts: Sequence[str],
        max_new_tokens: int = 48,  # noqa: ARG002 - the protocol's
        *,
        among: Sequence[Sequence[str]] | None = None,
    ) -> list[str]:
        """Write one answer for each prompt; with `among`, by the model's structured output, one of its candidates.

        Raises: ModelError when the model fails, or cannot keep to a schema.
        """
        messages = [chat_messages(prompt) for prompt in prompts]
        if among is None:
            replies = asked(self.name, lambda: self._chat_model.batch(messages))
            return [first_line(str(reply.text)) for reply in replies]
        return [self._choice(said, candidates) for said, candidates in zip(messages, among, strict=True)]

    def executor(self) -> ThreadPoolExecutor:
        """Open threads that may ask it, as LangChain's own `batch` does."""
        return ThreadPoolExecutor(AT_ONCE)

    def _choice(self, messages: list[dict[str, str]], candidates: Sequence[str]) -> str:
        if not candidates:
            return ""
        schema = choice_schema(candidates)
        reply = asked(self.name, lambda: self._chat_model.with_structured_output(schema).invoke(messages))
        return chosen(reply, candidates, self.name)


def asked(name: str, call: Callable[[], Reply]) -> Reply:
    """Call a chat model, and make one line of whatever it raises, which each provider does in its own way.

    Raises: ModelError.
    """
    try:
        return call()
    except KBQAError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise ModelError(f"model {name!r}: did not answer ({reason}); ask it by itself first") from error
