"""Any generator of kbqa as a LangChain chat model.

Our models are tuned on prompts of one form: facts, one a line, then 问：question and 答：. Messages are put into that
form; one that is such a prompt already goes to the model as it is, but for special tokens. No tools: for planning, take
a tool-calling model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import Field, SkipValidation

from kb_index.errors import QuestionError
from kbqa_agent.prompts import closed_book_prompt, escape
from kbqa_agent.types import Generator

__all__ = ["KBQAChatModel", "prompt_of"]

ASKS = "\n答："
"""How a prompt of our own form ends."""
MAX_LINE_CHARS = 300


class KBQAChatModel(BaseChatModel):
    """A generator that is asked with messages: `KBQAChatModel(generator=load_generator()).invoke("...")`.

    `max_tokens` and `stop` can be given with each call. A generator that can write piece by piece is streamed so.
    """

    generator: SkipValidation[Generator]
    max_tokens: int = Field(default=48, ge=1)

    @property
    def _llm_type(self) -> str:
        return "kbqa"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model_name": self.generator.name, "max_tokens": self.max_tokens}

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,  # noqa: ARG002 - the base class's
        **kwargs: Any,
    ) -> ChatResult:
        written = self.generator.generate([prompt_of(messages)], kwargs.get("max_tokens", self.max_tokens))[0]
        reply = AIMessage(_before(stop or [], written), response_metadata={"model_name": self.generator.name})
        return ChatResult(generations=[ChatGeneration(message=reply)])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        by_pieces = getattr(self.generator, "stream", None)
        if by_pieces is None or stop:
            whole = self._generate(messages, stop, run_manager, **kwargs).generations[0]
            pieces: Iterator[str] = iter([str(whole.message.text)])
        else:
            pieces = by_pieces(prompt_of(messages), kwargs.get("max_tokens", self.max_tokens))
        for piece in pieces:
            yield ChatGenerationChunk(message=AIMessageChunk(content=piece))
        about = {"model_name": self.generator.name}
        yield ChatGenerationChunk(message=AIMessageChunk(content="", response_metadata=about, chunk_position="last"))


def prompt_of(messages: Sequence[BaseMessage]) -> str:
    r"""Put messages into the form of our prompts: what comes before the last line of the last human message are facts.

    Earlier questions and answers are told as such. The last human message may be a whole prompt of ours.

    >>> prompt_of([HumanMessage("【坛经】\n作者：惠能\n坛经的作者是谁？")])
    '【坛经】\n作者：惠能\n问：坛经的作者是谁？\n答：'

    Raises: QuestionError when no human message has a text.
    """
    last = max((i for i, m in enumerate(messages) if isinstance(m, HumanMessage) and str(m.text).strip()), default=None)
    if last is None:
        raise QuestionError(
            f"{len(messages)} messages, none of a human with a text; expected a question as the last one"
        )
    asked = str(messages[last].text).strip()
    if asked.endswith(ASKS):
        return "\n".join(escape(line, len(line)) for line in asked.splitlines())
    *facts, question = _lines(asked)
    told = [line for message in messages[:last] for line in _told(message)]
    return "\n".join([*told, *facts, closed_book_prompt(question)])


def _told(message: BaseMessage) -> list[str]:
    lines = _lines(str(message.text))
    if isinstance(message, HumanMessage) and lines:
        return [*lines[:-1], f"问：{lines[-1]}"]
    return [f"答：{' '.join(lines)}"] if isinstance(message, AIMessage) else lines


def _lines(text: str) -> list[str]:
    return [line for line in (escape(line, MAX_LINE_CHARS) for line in text.splitlines()) if line]


def _before(stops: Sequence[str], text: str) -> str:
    return text[: min((at for stop in stops if (at := text.find(stop)) >= 0), default=len(text))]
