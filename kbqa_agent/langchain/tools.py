"""The tool that answers questions, for tool-calling agents, and how tools are made.

What a tool returns is JSON of bounded length for the model, whose texts are escaped data, and the same as an artifact
with the texts as they are. What goes wrong is a tool message that says what to do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from langchain_core.tools import BaseTool, StructuredTool, ToolException
from pydantic import BaseModel, Field, ValidationError

from kb_index.errors import KBQAError
from kbqa_agent.agent import KBQAgent
from kbqa_agent.answer_forms import answer_to_json
from kbqa_agent.langchain.shown import answer_fields, as_json
from kbqa_agent.prompts import escape

__all__ = ["Told", "kbqa_tool", "make_tool"]

MAX_ERROR_CHARS = 1000
WORTH_TELLING = 0.005
"""An answer that is less probable is not told beside the first."""

Told = tuple[str, dict[str, Any]]
"""What a tool tells the model, and its artifact."""


class _Question(BaseModel):
    question: str = Field(description="One question in natural language, whole: with the name of what it is about.")


def kbqa_tool(agent: KBQAgent) -> BaseTool:
    """Make the tool `ask_knowledge_base`: a question in, the answer with its evidence or why there is none out.

    The artifact of its message is the object that `kbqa ask --json` prints.
    """

    def ask(question: str) -> Told:
        answer = agent.ask(question)
        return as_json(answer_fields(answer, WORTH_TELLING)), answer_to_json(answer)

    return make_tool(
        "ask_knowledge_base",
        "Answer a question from a knowledge base of facts. Gives the answer with the triples it rests on and its "
        "probability, or the reason why there is no answer.",
        _Question,
        ask,
    )


def make_tool(name: str, description: str, arguments: type[BaseModel], call: Callable[..., Told]) -> BaseTool:
    """Make a tool of a function whose errors a user can mend: the model is told them, and goes on."""

    def called(*args: Any, **given: Any) -> Told:  # a tool of one argument can be invoked with it alone
        try:
            return call(*args, **given)
        except KBQAError as error:
            raise ToolException(escape(str(error), MAX_ERROR_CHARS)) from error

    def wrong_arguments(error: ValidationError) -> str:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "arguments"
        return f"{name}: {place}: {first['msg']}; call it again with {', '.join(arguments.model_fields)}"

    return StructuredTool.from_function(
        called,
        name=name,
        description=description,
        args_schema=arguments,
        response_format="content_and_artifact",
        handle_tool_error=True,
        handle_validation_error=wrong_arguments,
    )
