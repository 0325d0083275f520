"""kbqa in LangChain applications: retriever, tools, runnable, chat model, and a planning agent; needs `[langchain]`.

Each part loads when it is first named, so that a retriever loads no agent framework.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kbqa_agent.lazy_parts import load_part

if TYPE_CHECKING:
    from kbqa_agent.langchain.chat_model import KBQAChatModel
    from kbqa_agent.langchain.planner import plan_answer
    from kbqa_agent.langchain.planning_tools import lookup_tools
    from kbqa_agent.langchain.retriever import KBQARetriever
    from kbqa_agent.langchain.runnable import KBQARunnable
    from kbqa_agent.langchain.tools import kbqa_tool
    from kbqa_agent.langchain_generator import LangChainGenerator

__all__ = [
    "KBQAChatModel",
    "KBQARetriever",
    "KBQARunnable",
    "LangChainGenerator",
    "kbqa_tool",
    "lookup_tools",
    "plan_answer",
]

_LAZY = {
    "KBQAChatModel": "kbqa_agent.langchain.chat_model",
    "KBQARetriever": "kbqa_agent.langchain.retriever",
    "KBQARunnable": "kbqa_agent.langchain.runnable",
    "LangChainGenerator": "kbqa_agent.langchain_generator",
    "kbqa_tool": "kbqa_agent.langchain.tools",
    "lookup_tools": "kbqa_agent.langchain.planning_tools",
    "plan_answer": "kbqa_agent.langchain.planner",
}
_EXTRA = ("langchain", "langchain_core", "langgraph")


def __getattr__(name: str) -> Any:
    return load_part(__name__, name, _LAZY, "langchain", _EXTRA)
