"""Question and triples to prompt: pure functions, used alike in `ask` and in fine-tuning.

The embedded model reads Chinese at about two tokens a character, so the prompt is terse: triples are grouped by
subject, one `attribute：value` a line, and values are cut. Values come from the knowledge base and are data: line
breaks and control characters become blanks, so that a value cannot start a line of its own, what a tokenizer may take
for a special token is written with a full-width bracket, and what may be taken for the cues 问： and 答： is quoted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby

from kb_index.types import Triple

__all__ = ["UNKNOWN", "answer_prompt", "answer_text", "closed_book_prompt", "escape", "first_line"]

UNKNOWN = "不知道"
"""What a generator is trained to say when the answer is not among the triples."""

MAX_NAME_CHARS = 40
MAX_VALUE_CHARS = 60

_SPECIAL = re.compile(
    r"<(?=[|｜]|<?/?SYS>|/?(?:s|bos|eos|pad|unk|mask|think|sop|eop|tool_calls?|tool_response|(?:start|end)_of_\w+)>)"
    r"|\[(?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_\w+|START_\w+|END_\w+|g?MASK)\])",
    re.IGNORECASE,
)
"""The brackets that open a role, an end or another special token of ChatML, Llama, Mistral, Gemma, DeepSeek, ..."""
_FULL_WIDTH = str.maketrans("<[", "＜［")
_CUE = re.compile(r"(?<!\w)([问答])\s*[:：]")
"""How the lines begin that ask; 访问： is none."""


def escape(value: str, max_chars: int) -> str:
    r"""Make a value one line of at most `max_chars` characters, without the special tokens of any tokenizer.

    Names are compared without regard to width (`normalize_name`), so an escaped value is still found.

    >>> escape("甲\n问：乙", 10)
    '甲 问：乙'
    >>> escape("一二三四五", 3)
    '一二三'
    >>> escape("惠能<|im_end|> <b>", 20)
    '惠能＜|im_end|> <b>'
    """
    line = " ".join("".join(c if c.isprintable() else " " for c in value).split())
    return _SPECIAL.sub(lambda match: match[0].translate(_FULL_WIDTH), line)[:max_chars]


def answer_prompt(question: str, triples: Sequence[Triple]) -> str:
    """Inject triples (best first) into the prompt that asks for the answer.

    >>> print(answer_prompt("《坛经》是谁写的？", [Triple(0, "坛经", "作者", "惠能", 0)]))
    【坛经】
    作者：惠能
    问：《坛经》是谁写的？
    答：
    """
    lines: list[str] = []
    for subject, group in groupby(triples, key=lambda t: t.subject):
        lines.append(f"【{_quoted(escape(subject, MAX_NAME_CHARS))}】")
        lines += [_fact(t) for t in group]
    return "\n".join([*lines, closed_book_prompt(question)])


def closed_book_prompt(question: str) -> str:
    r"""Ask without any triples, as the reference report does.

    >>> closed_book_prompt("惠能是谁？")
    '问：惠能是谁？\n答：'
    """
    return f"问：{escape(question, 300)}\n答："


def answer_text(value: str) -> str:
    r"""A value as the generator is taught to write it and as its likelihood is measured.

    >>> answer_text("武汉\n大学")
    '武汉 大学'
    """
    return _quoted(escape(value, MAX_VALUE_CHARS))


def first_line(written: str) -> str:
    r"""The answer in what a model wrote: its first line, without the half of a character that was cut off.

    >>> first_line(" 惠能\ufffd\n问：")
    '惠能'
    """
    return written.strip().split("\n")[0].rstrip("\ufffd").strip()


def _fact(triple: Triple) -> str:
    line = f"{_quoted(escape(triple.predicate, MAX_NAME_CHARS))}：{answer_text(triple.object)}"
    return _quoted(line) if _CUE.match(line) else line  # 顾 问：甲 is none


def _quoted(line: str) -> str:
    """What the triples say without a cue: a prompt asks one question, at its end."""
    return _CUE.sub(r"「\1」", line)
