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
from kbqa_agent.answer_forms import REASONS, answer_to_json
from kbqa_agent.langchain.shown import as_json, shown, triple_fields
from kbqa_agent.prompts import escape
from kbqa_agent.silence import choices_of
from kbqa_agent.types import Answer

__all__ = ["Told", "kbqa_tool", "make_tool"]

MAX_EVIDENCE = 5
MAX_VALUES = 20
MAX_OTHERS = 3
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
        return as_json(_told(answer)), answer_to_json(answer)

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


def _told(answer: Answer) -> dict[str, Any]:
    """What a model is told of an answer."""
    if answer.abstained is not None:
        choices = [{"entity": shown(c.triple.subject), "answer": shown(c.answer)} for c in choices_of(answer)]
        told = {"answer": None, "reason": f"{answer.abstained}: {REASONS[answer.abstained]}"}
        return told | {"choices": choices} if choices else told
    said = (answer.text, *answer.values)
    others = [c for c in answer.candidates if c.answer not in said and c.score >= WORTH_TELLING]
    return {
        "answer": shown(answer.text or ""),
        "all_answers": [shown(value) for value in answer.values[:MAX_VALUES]],
        "probability": round(answer.confidence, 3),
        "supported": answer.supported,
        "evidence": [triple_fields(t) for t in answer.told.evidence[:MAX_EVIDENCE]] if answer.told else [],
        "others": [{"answer": shown(c.answer), "probability": round(c.score, 3)} for c in others[:MAX_OTHERS]],
    }
