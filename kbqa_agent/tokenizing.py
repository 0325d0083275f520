"""Prompts and answers as token ids: one way, used in scoring, generation and training.

The answer is encoded apart from its prompt, so that its tokens are the same under every prompt. A prompt that is too
long loses triples, the last ones first, and never its question. What looks like a special token in a value or a
question is text like any other: it ends no answer and begins no role.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Any

__all__ = [
    "QUESTION_LINES",
    "UNLIMITED",
    "batches_by_length",
    "context_length",
    "encode_answer",
    "encode_prompt",
    "encode_text",
    "last_place",
    "pad_left",
    "stop_ids",
]

QUESTION_LINES = 2
"""The lines at a prompt's end that are never cut: the question, and the cue for the answer."""

UNLIMITED = 1 << 20


def context_length(model: Any) -> int:
    """Give the most tokens that a model takes, prompt and answer together."""
    for name in ("max_position_embeddings", "n_positions", "n_ctx"):
        if length := getattr(model.config, name, None):
            return int(length)
    return UNLIMITED


def encode_text(tokenizer: Any, text: str) -> list[int]:
    """Encode a text alone, with no token before or after it."""
    ids: list[int] = tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    return ids


def encode_answer(tokenizer: Any, answer: str, max_tokens: int = UNLIMITED) -> list[int]:
    """Encode an answer and the end token, which stays when the answer is cut to `max_tokens`."""
    return [*encode_text(tokenizer, answer)[: max_tokens - 1], tokenizer.eos_token_id]


def encode_prompt(tokenizer: Any, prompt: str, max_tokens: int) -> list[int]:
    """Encode a prompt in at most `max_tokens` tokens; whole lines before the question are dropped, last first."""
    ids = _encode(tokenizer, prompt)
    if len(ids) <= max_tokens:
        return ids
    lines = prompt.split("\n")
    facts, question = lines[:-QUESTION_LINES], lines[-QUESTION_LINES:]

    def encoded(n_facts: int) -> list[int]:
        return _encode(tokenizer, "\n".join([*facts[:n_facts], *question]))

    fitting = bisect_right(range(1, len(facts)), max_tokens, key=lambda n: len(encoded(n)))
    return encoded(fitting)[-max_tokens:]


def batches_by_length(sizes: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Put the places of like sizes together, the largest first; as many as fit a budget when filled up, at least one.

    >>> list(batches_by_length([3, 9, 4, 8], 18))
    [[1, 3], [2, 0]]
    """
    order = sorted(range(len(sizes)), key=lambda i: -sizes[i])
    while order:
        n = max(1, budget // max(1, sizes[order[0]]))
        yield order[:n]
        order = order[n:]


def last_place(ids: Any) -> Any:
    """Say that a model is to give the logits of the last token only; `ids` (n_rows, n_tokens) is a tensor.

    As an index and not as the number 1, which leaves the states with gaps between the rows: torch then copies all of
    the vocabulary's weights, a third of the time of a short prompt.
    """
    import torch

    return torch.tensor([ids.shape[1] - 1], device=ids.device)


def pad_left(rows: Sequence[Sequence[int]], token: int) -> tuple[list[list[int]], list[list[int]]]:
    """Fill rows at their left to the length of the longest; give the ids and the mask, 1 where a token is no filling.

    >>> pad_left([[7, 8], [9]], 0)
    ([[7, 8], [0, 9]], [[1, 1], [0, 1]])
    """
    longest = max(map(len, rows), default=0)
    gaps = [longest - len(row) for row in rows]
    ids = [[token] * gap + list(row) for gap, row in zip(gaps, rows, strict=True)]
    return ids, [[0] * gap + [1] * (longest - gap) for gap in gaps]


def stop_ids(tokenizer: Any) -> list[int]:
    """List the tokens that end an answer: the end token, and a line break where that is a token of its own."""
    ids = tokenizer("\n", add_special_tokens=False)["input_ids"]
    line_break = ids[-1:] if ids and tokenizer.decode(ids[-1:]) == "\n" else []
    return sorted({tokenizer.eos_token_id, *line_break})


def _encode(tokenizer: Any, text: str) -> list[int]:
    ids: list[int] = tokenizer(text, split_special_tokens=True)["input_ids"]
    # Some tokenizers end every text with the end token, which here would end the answer before it begins.
    return ids[:-1] if ids and ids[-1] == tokenizer.eos_token_id and len(ids) > 1 else ids
