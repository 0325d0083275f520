"""Answers written without chance: the likeliest next tokens, or beams of them; freely, or one of some candidates.

Prompts of like lengths go through the model together. This module neither loads models nor makes prompts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from kbqa_agent.constrained import CandidateTrie
from kbqa_agent.prompts import first_line
from kbqa_agent.scoring import MAX_ANSWER_TOKENS
from kbqa_agent.tokenizing import (
    batches_by_length,
    context_length,
    encode_answer,
    encode_prompt,
    last_place,
    pad_left,
    stop_ids,
)

__all__ = ["choose_answers", "stream_answer", "write_answers"]

CACHED_TOKENS = 16_384
"""The most tokens, of prompts and answers, whose keys and values are kept at a time."""


def write_answers(model: Any, tokenizer: Any, prompts: Sequence[str], max_new_tokens: int, beams: int = 1) -> list[str]:
    """Write an answer for each prompt, up to the end token, a line break or `max_new_tokens` tokens."""
    room = max(1, context_length(model) - max_new_tokens)
    rows = [encode_prompt(tokenizer, prompt, room) for prompt in prompts]
    answers = [""] * len(prompts)
    for batch in batches_by_length([beams * (len(row) + max_new_tokens) for row in rows], CACHED_TOKENS):
        settings = _settings(tokenizer, stop_ids(tokenizer), max_new_tokens, beams)
        written = _generate(model, tokenizer, [rows[i] for i in batch], settings)
        for i, text in zip(batch, tokenizer.batch_decode(written, skip_special_tokens=True), strict=True):
            answers[i] = first_line(text)
    return answers


def choose_answers(
    model: Any, tokenizer: Any, prompts: Sequence[str], among: Sequence[Sequence[str]], beams: int = 1
) -> list[str]:
    """Write for each prompt one of its candidates, token by token; a prompt without candidates gets "".

    With one beam, each token is the likeliest of those that still lead to a candidate: not always the start of the
    candidate that is likeliest as a whole, which `score_answers` tells.
    """
    context, end = context_length(model), tokenizer.eos_token_id
    longest = min(MAX_ANSWER_TOKENS, context // 2)
    spelt = [[encode_answer(tokenizer, answer, longest) for answer in answers] for answers in among]
    asked = [i for i, answers in enumerate(spelt) if answers]
    new_tokens = max((len(row) for answers in spelt for row in answers), default=1)
    rows = {i: encode_prompt(tokenizer, prompts[i], context - new_tokens) for i in asked}
    tries = {i: CandidateTrie(spelt[i], end) for i in asked}
    answers = [""] * len(prompts)
    for group in batches_by_length([beams * (len(rows[i]) + new_tokens) for i in asked], CACHED_TOKENS):
        batch = [asked[n] for n in group]
        settings = _settings(tokenizer, [end], new_tokens, beams)
        written = _generate(model, tokenizer, [rows[i] for i in batch], settings, [tries[i] for i in batch])
        for i, tokens in zip(batch, written, strict=True):
            chosen = tries[i].which(tokens)
            answers[i] = "" if chosen is None else among[i][chosen]
    return answers


def stream_answer(model: Any, tokenizer: Any, prompt: str, max_new_tokens: int) -> Iterator[str]:
    """Give an answer piece by piece as its tokens come; together they are what `write_answers` gives."""
    room = max(1, context_length(model) - max_new_tokens)
    tokens: list[int] = []
    said = ""
    for token in _greedy(model, encode_prompt(tokenizer, prompt, room), max_new_tokens):
        if token in stop_ids(tokenizer):
            return
        tokens.append(token)
        text = first_line(tokenizer.decode(tokens, skip_special_tokens=True))
        if len(text) > len(said):  # else a blank, or a part of a character, that what follows will tell
            yield text[len(said) :]
            said = text


def _greedy(model: Any, ids: list[int], max_new_tokens: int) -> Iterator[int]:
    import torch

    fed, cache = ids, None
    for _ in range(max_new_tokens):
        with torch.inference_mode():
            tokens = torch.tensor([fed], device=model.device)
            output = model(tokens, past_key_values=cache, use_cache=True, logits_to_keep=last_place(tokens))
        cache = output.past_key_values
        fed = [int(output.logits[0, -1].argmax())]
        yield fed[0]


def _settings(tokenizer: Any, ends: list[int], max_new_tokens: int, beams: int) -> Any:
    from transformers import GenerationConfig

    return GenerationConfig(
        max_new_tokens=max_new_tokens,
        do_sample=False,
        num_beams=beams,
        eos_token_id=ends,
        pad_token_id=tokenizer.eos_token_id,
    )


def _generate(
    model: Any,
    tokenizer: Any,
    rows: Sequence[list[int]],
    settings: Any,
    tries: Sequence[CandidateTrie] | None = None,
) -> list[list[int]]:
    """Give the new tokens of each row, filled up with the end token."""
    import torch

    ids, mask = pad_left(rows, tokenizer.eos_token_id)
    n_read = len(ids[0])
    with torch.inference_mode():
        output = model.generate(
            torch.tensor(ids, device=model.device),
            attention_mask=torch.tensor(mask, device=model.device),
            generation_config=settings,
            prefix_allowed_tokens_fn=tries and (lambda i, tokens: tries[i].allowed(tokens[n_read:].tolist())),
        )
    written: list[list[int]] = output[:, n_read:].tolist()
    return written
