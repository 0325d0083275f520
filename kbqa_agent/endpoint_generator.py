"""A model behind a server that speaks OpenAI's protocol (vLLM, SGLang, llama.cpp, Ollama, OpenAI) as a `Generator`.

It gets the same prompts as a model in this process. Nothing is asked of the server before the first question.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from kb_index.errors import ModelError, NoLikelihoodError
from kbqa_agent.chat_prompts import chat_messages, choice_schema, chosen
from kbqa_agent.endpoint import BUSY, Endpoint, RefusedError
from kbqa_agent.prompts import first_line

__all__ = ["KEY_VARIABLE", "EndpointGenerator", "is_endpoint", "open_endpoint"]

KEY_VARIABLE = "KBQA_API_KEY"
FORMS = ("openai:", "completions:")
AT_ONCE = 8
"""How many prompts are with the server at a time."""


class EndpointGenerator:
    """A model by its name on a server; `chat` says whether prompts go as chat messages or as they are.

    As they are is for models that were fine-tuned on these prompts, and for those without a chat template.
    """

    def __init__(self, endpoint: Endpoint, model: str, chat: bool = True) -> None:
        self.name = f"{model}@{urlsplit(endpoint.url).netloc}"
        self._endpoint, self._model, self._chat = endpoint, model, chat
        self._refusal: NoLikelihoodError | None = None

    def fingerprint(self) -> str:
        """Where the model is and how it is asked; what it is there, nobody can tell from here."""
        return f"{'chat' if self._chat else 'completions'} {self._endpoint.url} {self._model}"

    def score(self, prompt: str, answers: Sequence[str]) -> NDArray[np.float32]:
        """Give the natural-log likelihood of each answer, summed over its tokens, (n_answers,).

        The server repeats each text with its tokens' log-probabilities (`echo`, as vLLM and SGLang do); those of the
        prompt alone are taken off. The end token, which servers do not name, is not in the sum.

        Raises:
            NoLikelihoodError: the server has none to give, as those of chat models alone.
            ModelError: the server cannot be reached.
        """
        if not answers:
            return np.zeros(0, dtype=np.float32)
        if self._refusal is not None:
            raise self._refusal
        try:
            sums = self._summed([prompt, *(prompt + answer for answer in answers)])
        except (RefusedError, KeyError, TypeError, IndexError, ValueError) as error:
            if isinstance(error, RefusedError) and error.status in (401, 403, *BUSY):
                raise
            self._refusal = NoLikelihoodError(
                f"model {self.name!r}: its server gives no likelihoods of texts (echo with logprobs); "
                "the ranker decides alone, and --free-text lets the model write"
            )
            raise self._refusal from error
        return np.array([total - sums[0] for total in sums[1:]], dtype=np.float32)

    def generate(
        self, prompts: Sequence[str], max_new_tokens: int = 48, *, among: Sequence[Sequence[str]] | None = None
    ) -> list[str]:
        """Write one answer for each prompt at temperature 0; with `among`, by a JSON schema, one of its candidates.

        Raises: ModelError when the server cannot be reached, refuses, or does not keep to the schema.
        """
        if not prompts:
            return []
        choices: Sequence[Sequence[str] | None] = [None] * len(prompts) if among is None else among
        if len(prompts) == 1:  # without a thread of a pool, which the program's end would wait for
            return [self._write(prompts[0], max_new_tokens, choices[0])]
        with ThreadPoolExecutor(min(AT_ONCE, len(prompts))) as pool:
            return list(pool.map(lambda prompt, of: self._write(prompt, max_new_tokens, of), prompts, choices))

    def executor(self) -> ThreadPoolExecutor:
        """Open threads that may ask it: the server has so many prompts at a time."""
        return ThreadPoolExecutor(AT_ONCE)

    def _write(self, prompt: str, max_new_tokens: int, candidates: Sequence[str] | None) -> str:
        if candidates is not None and not candidates:
            return ""
        body: dict[str, Any] = {"model": self._model, "temperature": 0, "max_tokens": max_new_tokens}
        if candidates is not None:
            schema = {"name": "answer", "strict": True, "schema": choice_schema(candidates)}
            body |= {"response_format": {"type": "json_schema", "json_schema": schema}}
            body["max_tokens"] = max_new_tokens + 3 * max(map(len, candidates))  # the braces, and the longest whole
        if self._chat:
            reply = self._endpoint.post("chat/completions", body | {"messages": chat_messages(prompt)})
        else:
            reply = self._endpoint.post("completions", body | {"prompt": prompt, "stop": ["\n"]})
        text = self._text(reply)
        if candidates is None:
            return first_line(text)
        try:
            return chosen(json.loads(text), candidates, self.name)
        except ValueError:
            return chosen(text, candidates, self.name)

    def _text(self, reply: Mapping[str, Any]) -> str:
        try:
            choice = reply["choices"][0]
            text = choice["message"]["content"] if self._chat else choice["text"]
        except (KeyError, IndexError, TypeError) as error:
            raise ModelError(f"model {self.name!r}: its server's reply has no text; expected `choices`") from error
        return text if isinstance(text, str) else ""

    def _summed(self, texts: Sequence[str]) -> list[float]:
        """The sum of the tokens' log-probabilities of each text."""
        body = {"model": self._model, "prompt": list(texts), "echo": True, "logprobs": 1, "temperature": 0}
        # Some servers write nothing less than one token, which is then left out of the sums.
        choices = self._endpoint.post("completions", body | {"max_tokens": 1})["choices"]
        ordered = sorted(choices, key=lambda choice: int(choice["index"]))
        for text, choice in zip(texts, ordered, strict=True):
            if not choice["text"].startswith(text):
                raise ValueError("the text was not repeated")
        # The first token of all has no probability, as nothing comes before it.
        return [sum(filter(None, choice["logprobs"]["token_logprobs"][:-1])) for choice in ordered]


def is_endpoint(model: object) -> bool:
    """Tell whether what the user calls a model is one behind a server."""
    return isinstance(model, str) and model.startswith(FORMS)


def open_endpoint(model: str, seconds: float | None = None) -> EndpointGenerator:
    """Make the generator for `openai:URL#NAME` (chat) or `completions:URL#NAME` (prompts as they are).

    With `seconds`, for who waits no longer, each request has so many, and is tried once; else the server may be busy
    for a while. The key is read from KBQA_API_KEY. Raises: ModelError when the form is another.
    """
    form, _, rest = model.partition(":")
    url, _, name = rest.partition("#")
    if not url or not name:
        raise ModelError(f"model {form + ':...'!r}: expected {form}:URL#NAME, as {form}:http://localhost:8000/v1#qwen3")
    key = os.environ.get(KEY_VARIABLE, "").strip() or None
    return EndpointGenerator(Endpoint(url.rstrip("/"), key, seconds), name, chat=form == "openai")
