"""`ask` as a Runnable over messages, with a `Dialogue` for each thread.

LangChain 1.x keeps histories in LangGraph (`RunnableWithMessageHistory` is deprecated), so a conversation is named as
there: by `thread_id` in the config. What is remembered of a thread can be dropped at any time: where the messages
that come in say what was asked before, the dialogue is made again from them.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage, HumanMessage, convert_to_messages
from langchain_core.prompt_values import PromptValue
from langchain_core.runnables import Runnable, RunnableConfig, ensure_config

from kb_index.errors import InputError, QuestionError
from kbqa_agent.agent import KBQAgent
from kbqa_agent.answer_forms import answer_to_json, answer_to_text
from kbqa_agent.dialogue import Dialogue
from kbqa_agent.types import Answer

__all__ = ["KBQARunnable"]

REPLAYED = 10
"""A dialogue that is made again is made from so many questions, the last ones."""

Said = LanguageModelInput | Mapping[str, Any]
"""A question, messages, or a state of LangGraph with `messages`."""


class _Thread:
    """The dialogue of one thread, and the last questions that were asked in it."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.restart()

    def restart(self) -> None:
        self.dialogue = Dialogue()
        self.asked: deque[str] = deque(maxlen=REPLAYED)

    def follows(self, before: Sequence[str]) -> bool:
        """Whether these are the last questions of this dialogue."""
        return list(self.asked)[-len(before) :] == list(before) if before else True


class KBQARunnable(Runnable[Said, AIMessage]):
    """Answers the last human message: `KBQARunnable(agent).invoke("...", {"configurable": {"thread_id": "1"}})`.

    With a `thread_id` a message may be a follow-up to what was asked in that thread, whether or not the messages
    before it come with it; without, a follow-up to the messages that come with it. At most `max_threads` dialogues are
    kept, the ones last used. The content of the reply is the answer, or why there is none and, where several entities
    fit, the question which one is meant; `response_metadata["kbqa"]` is the object that `kbqa ask --json` prints.
    Safe to share between threads of the program.
    """

    def __init__(self, agent: KBQAgent, max_threads: int = 1000) -> None:
        if max_threads < 1:
            raise InputError(f"max_threads={max_threads}: expected at least 1")
        self.agent, self.max_threads = agent, max_threads
        self._threads: OrderedDict[str, _Thread] = OrderedDict()
        self._lock = Lock()

    def invoke(self, input: Said, config: RunnableConfig | None = None, **kwargs: Any) -> AIMessage:  # noqa: A002
        """Answer the last human message.

        Raises: QuestionError when there is none, or it is empty or too long.
        """
        config = ensure_config(config)  # inside a graph it need not be passed on
        thread_id = config.get("configurable", {}).get("thread_id")
        return self._call_with_config(
            lambda said: self._reply(said, None if thread_id is None else str(thread_id)), input, config, **kwargs
        )

    def forget(self, thread_id: str) -> None:
        """Drop what is remembered of a thread, if anything is."""
        with self._lock:
            self._threads.pop(thread_id, None)

    def _reply(self, said: Said, thread_id: str | None) -> AIMessage:
        *before, question = _questions(said)
        before = before[-REPLAYED:]
        thread = self._thread(thread_id)
        with thread.lock:
            if not thread.follows(before):
                thread.restart()
                self._replay(before, thread)
            thread.asked.append(question)
            answer = self.agent.ask(question, thread.dialogue)
        return AIMessage(_content(answer), response_metadata={"kbqa": answer_to_json(answer)})

    def _thread(self, thread_id: str | None) -> _Thread:
        if thread_id is None:
            return _Thread()
        with self._lock:
            thread = self._threads.setdefault(thread_id, _Thread())
            self._threads.move_to_end(thread_id)
            if len(self._threads) > self.max_threads:
                self._threads.popitem(last=False)
            return thread

    def _replay(self, questions: Sequence[str], thread: _Thread) -> None:
        for question in questions:
            thread.asked.append(question)
            try:
                self.agent.ask(question, thread.dialogue)
            except QuestionError:  # it was refused before, too, and the conversation went on
                continue


def _questions(said: Said) -> list[str]:
    """The texts of the human messages, the last of which is asked."""
    if isinstance(said, Mapping):
        said = said.get("messages", [])
    if isinstance(said, str):
        return [said]
    messages = said.to_messages() if isinstance(said, PromptValue) else convert_to_messages(said)
    found = [str(message.text) for message in messages if isinstance(message, HumanMessage)]
    if not found:
        raise QuestionError(f"{len(messages)} messages, none of a human; expected a question as the last one")
    return found


def _content(answer: Answer) -> str:
    if answer.text is None:
        return answer_to_text(answer).splitlines()[0]
    return "; ".join(answer.values) or answer.text
