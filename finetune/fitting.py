"""Training prompts that fit: one that is too long loses triples, and never its question or what its answer rests on.

`kbqa_agent.tokenizing` cuts the prompts of `ask`, where no answer is known; here, a prompt that lost its gold triple
would teach to make answers up.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from kbqa_agent.qa_data import comparable
from kbqa_agent.tokenizing import QUESTION_LINES, UNLIMITED, encode_prompt

__all__ = ["FittedPrompt", "fit_prompt", "has_triples", "stated_values"]

HEADING = "【"
QUESTION_CUE = "问："
COLON = "："


def has_triples(prompt: str) -> bool:
    """Tell a prompt of `kbqa_agent.prompts` with triples, whose lines may be cut, from any other text."""
    lines = prompt.split("\n")
    return prompt.startswith(HEADING) and len(lines) > QUESTION_LINES and lines[-2].startswith(QUESTION_CUE)


def stated_values(lines: Iterable[str]) -> set[str]:
    """Collect the values that lines of triples state, in the form in which answers are compared.

    An attribute may hold a colon too, so what follows any colon of a line counts.

    >>> sorted(stated_values(["【坛经】", "作者：惠能", "版本：注：宗宝 本"]))
    ['宗宝 本', '惠能', '注：宗宝 本']
    """
    facts = [line for line in lines if not line.startswith(HEADING)]
    return {comparable(line[i + 1 :]) for line in facts for i, c in enumerate(line) if c == COLON}


class FittedPrompt(NamedTuple):
    """A prompt that fits, as token ids and as text."""

    ids: list[int]
    text: str


def fit_prompt(tokenizer: Any, prompt: str, max_tokens: int, answers: Collection[str] = ()) -> FittedPrompt | None:
    """Encode a prompt in at most `max_tokens` tokens, without as many of its last triples as that takes.

    The triples that state one of `answers` stay, with the names of their subjects. None where what has to stay does not
    fit: the question and those triples, or the whole text where it is no prompt with triples.
    """
    lines = prompt.split("\n")
    facts = lines[:-QUESTION_LINES] if has_triples(prompt) else []
    kept = _lines_of(facts, answers)
    spare = [i for i in range(len(facts)) if i not in kept]

    def without_last(n: int) -> FittedPrompt:
        dropped = set(spare[len(spare) - n :])
        text = "\n".join(line for i, line in enumerate(lines) if i not in dropped)
        return FittedPrompt(encode_prompt(tokenizer, text, UNLIMITED), text)

    whole = without_last(0)
    if len(whole.ids) <= max_tokens:
        return whole
    n_dropped = bisect_left(range(len(spare)), -max_tokens, key=lambda n: -len(without_last(n).ids))
    fitted = without_last(n_dropped)
    return fitted if len(fitted.ids) <= max_tokens else None


def _lines_of(facts: Sequence[str], answers: Collection[str]) -> set[int]:
    """Find the places of the triples that state one of the answers, and of the headings over them."""
    sought = set(map(comparable, answers)) - {""}
    kept: set[int] = set()
    heading = 0
    for i, line in enumerate(facts):
        if line.startswith(HEADING):
            heading = i
        elif sought & stated_values([line]):
            kept |= {heading, i}
    return kept
