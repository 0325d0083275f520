"""kbqa in LangChain applications: retriever, tools, runnable, chat model, and a planning agent; needs `[langchain]`.

Each part loads when it is first named, so that a retriever loads no agent framework.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from kb_index.errors import MissingExtraError

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
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(_LAZY[name]), name)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _EXTRA:
            raise
        raise MissingExtraError("langchain", package.replace("_", "-")) from error
