"""OpenAI's forms: what a client sends for a chat, and the objects and chunks that it reads.

Reference: https://platform.openai.com/docs/api-reference/chat. What has no meaning here (temperature, tools, ...) is
taken and not heeded. Usage counts Chinese characters and words, since a model need not be involved.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from kbqa_agent.sentences import asks_in_chinese
from kbqa_agent.serving.asked import Reply
from kbqa_agent.serving.replies import reply_to_json
from kbqa_agent.silence import Choice, choices_of
from kbqa_agent.types import Answer

__all__ = ["ChatBody", "Completion", "annotations_of", "content_of", "n_units"]

MAX_VALUES = 20
_UNIT = re.compile(r"[\u3400-\u9fff]|[^\s\u3400-\u9fff]+")


class _Form(BaseModel):
    model_config = ConfigDict(strict=True)


class Part(_Form):
    """A part of a message; those that are no text are not read."""

    type: Annotated[str, StringConstraints(max_length=64)]
    text: str | None = None


class Message(_Form):
    """A message of a chat."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[Part] | None = None

    @property
    def text(self) -> str:
        """What it says."""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part.text for part in self.content or () if part.type == "text" and part.text)


class StreamOptions(_Form):
    """What a stream tells besides."""

    include_usage: bool | None = None


class ChatBody(_Form):
    """A chat: the last message of the user is the question, those before it are what a follow-up is about."""

    model: Annotated[str, StringConstraints(min_length=1, max_length=100)] = Field(description="Of GET /v1/models.")
    messages: list[Message] = Field(min_length=1)
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    n: Literal[1] | None = None


class Completion:
    """The objects of one completion."""

    def __init__(self, number: str, model: str) -> None:
        self._common = {"id": f"chatcmpl-{number}", "created": int(time.time()), "model": model}

    def whole(self, reply: Reply, prompt_units: int, base_url: str) -> dict[str, Any]:
        """The object of a chat that is not streamed; `kbqa` holds the answer as /api/ask gives it."""
        content = content_of(reply.answer)
        message = {
            "role": "assistant",
            "content": content,
            "refusal": None,
            "annotations": annotations_of(reply.answer, content, base_url),
        }
        return {
            **self._common,
            "object": "chat.completion",
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
            "usage": usage(prompt_units, content),
            "kbqa": reply_to_json(reply),
        }

    def chunk(self, delta: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
        """One chunk of a stream."""
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return {**self._common, "object": "chat.completion.chunk", "choices": [choice], **more}

    def usage_chunk(self, prompt_units: int, content: str) -> dict[str, Any]:
        """The last chunk, for who asks for usage."""
        used = usage(prompt_units, content)
        return {**self._common, "object": "chat.completion.chunk", "choices": [], "usage": used}


def usage(prompt_units: int, content: str) -> dict[str, int]:
    """What was read and written."""
    written = n_units(content)
    return {"prompt_tokens": prompt_units, "completion_tokens": written, "total_tokens": prompt_units + written}


def n_units(text: str) -> int:
    """Count Chinese characters and words.

    >>> n_units("法国的首都 is Paris")
    7
    """
    return sum(1 for _ in _UNIT.finditer(text))


def content_of(answer: Answer) -> str:
    """What an assistant says: the answer, all its values; or why there is none, and what it asks back."""
    if answer.abstained is None:
        return "; ".join(answer.values[:MAX_VALUES]) or answer.text or ""
    if choices := choices_of(answer):
        asks = "你指的是哪一个？" if asks_in_chinese(answer.question) else "Which one do you mean?"
        names = [f"{number}. {name}" for number, name in enumerate(_distinct(choices), 1)]
        return " ".join([asks, *names])
    return answer.explain().sentence


def _distinct(choices: Sequence[Choice]) -> list[str]:
    """The names of entities, with what tells those apart that have the same."""
    names = [choice.triple.subject for choice in choices]
    return [
        name if names.count(name) == 1 else f"{name} ({choice.answer})"
        for name, choice in zip(names, choices, strict=True)
    ]


def annotations_of(answer: Answer, content: str, base_url: str, offset: int = 0) -> list[dict[str, Any]]:
    """The triples that the answer rests on, as citations of where this server shows them, each at its value.

    `offset` is how many characters the message has before the content.
    """
    return list(_citations(answer, content, base_url, offset)) if answer.abstained is None else []


def _citations(answer: Answer, content: str, base_url: str, offset: int) -> Iterator[dict[str, Any]]:
    meant = answer.values[:MAX_VALUES] or (answer.text,)
    start = 0
    for value in meant:
        at = content.find(value or "", start)
        candidate = next((c for c in answer.candidates if c.answer == value), None)
        if at < 0 or candidate is None:
            continue
        start = at + len(candidate.answer)
        for triple in candidate.evidence:
            yield {
                "type": "url_citation",
                "url_citation": {
                    "start_index": offset + at,
                    "end_index": offset + start,
                    "title": f"{triple.subject} | {triple.predicate} | {triple.object}",
                    "url": f"{base_url}api/triples?entity={triple.subject_id}",
                },
            }
