"""The likelihood of many candidate answers under one prompt.

The prompt goes through the model once; its keys and values are shared by all answers. These follow one after the other
in a single row, each seeing the prompt and itself alone: no padding is computed. A model whose attention takes no such
mask gets them as a padded batch. This module neither loads models nor decides what to do with the numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kbqa_agent.tokenizing import context_length, encode_answer, encode_prompt, last_place

__all__ = ["AnswerRow", "answer_row", "encoded", "log_likelihoods", "score_answers"]

MAX_ANSWER_TOKENS = 192

MASK_IS_POSITION = ("bloom", "falcon", "mpt")
"""Models that read positions off the mask, always or by their settings."""


def score_answers(model: Any, tokenizer: Any, prompt: str, answers: Sequence[str]) -> NDArray[np.float32]:
    """Sum the natural-log probabilities of each answer's tokens and of the end token after it, (n_answers,).

    Equal to feeding prompt and answer through the model one by one, up to rounding.
    """
    import torch

    if not answers:
        return np.zeros(0, dtype=np.float32)
    prefix, rows = encoded(model, tokenizer, prompt, answers)
    with torch.inference_mode():
        fed = torch.tensor([prefix], device=model.device)
        first = model(fed, use_cache=True, logits_to_keep=last_place(fed))
        score = _score_row if _takes_masks(model, first.past_key_values) else _score_batch
        return score(model, first, len(prefix), rows)


def encoded(model: Any, tokenizer: Any, prompt: str, answers: Sequence[str]) -> tuple[list[int], list[list[int]]]:
    """The tokens of a prompt and of each of its answers, at least one, as many as the model takes."""
    room = context_length(model)
    rows = [encode_answer(tokenizer, answer, min(MAX_ANSWER_TOKENS, room // 2)) for answer in answers]
    return encode_prompt(tokenizer, prompt, room - max(map(len, rows))), rows


class AnswerRow(NamedTuple):
    """The answers to a prompt in a single row, each without its last token, as no token follows that.

    `fed` are the tokens (n_fed,), `owner` the number of each one's answer, `position` its place in prompt and answer,
    `bias` (1, 1, n_fed, n_read + n_fed) what is added to the attention: each sees the prompt and its own answer.
    """

    fed: list[int]
    owner: Any
    position: Any
    bias: Any


def answer_row(model: Any, n_read: int, rows: Sequence[list[int]]) -> AnswerRow:
    """Put the answers that follow a prompt of `n_read` tokens into a row."""
    import torch

    device = model.device
    fed = [token for row in rows for token in row[:-1]]
    owner = torch.tensor([i for i, row in enumerate(rows) for _ in row[:-1]], dtype=torch.long, device=device)
    place = torch.tensor([j for row in rows for j in range(len(row) - 1)], dtype=torch.long, device=device)
    hidden = (owner[:, None] != owner) | (place[:, None] < place)
    bias = torch.zeros(len(fed), n_read + len(fed), dtype=model.dtype, device=device)
    bias[:, n_read:].masked_fill_(hidden, torch.finfo(model.dtype).min)
    return AnswerRow(fed, owner, n_read + place, bias[None, None])


def log_likelihoods(after_prompt: Any, after_fed: Any, owner: Any, rows: Sequence[list[int]]) -> NDArray[np.float32]:
    """The log-likelihood of each answer, from the logits after the prompt (1, n) and each token fed (n_fed, n)."""
    import torch

    following = [row[0] for row in rows] + [token for row in rows for token in row[1:]]
    logits = torch.cat([after_prompt.expand(len(rows), -1), after_fed]).float()
    chosen = logits.gather(1, torch.tensor(following, device=logits.device)[:, None])[:, 0]
    log_probabilities = chosen - logits.logsumexp(1)
    sums = log_probabilities[: len(rows)].index_add(0, owner, log_probabilities[len(rows) :])
    return np.asarray(sums.cpu().numpy(), dtype=np.float32)


def _takes_masks(model: Any, cache: Any) -> bool:
    """Tell whether a mask alone decides what a token of this model sees: no state, no window, no code of its own."""
    from transformers.cache_utils import DynamicLayer

    known = type(model.config).__module__.startswith("transformers.")
    plain = all(type(layer) is DynamicLayer for layer in getattr(cache, "layers", [None]))
    return known and plain and model.config.model_type not in MASK_IS_POSITION


def _score_row(model: Any, first: Any, n_read: int, rows: Sequence[list[int]]) -> NDArray[np.float32]:
    import torch

    row = answer_row(model, n_read, rows)
    after_fed = first.logits[0, :0]
    if row.fed:
        after_fed = model(
            torch.tensor([row.fed], device=model.device),
            attention_mask=row.bias,
            past_key_values=first.past_key_values,
            position_ids=row.position[None],
            use_cache=True,
        ).logits[0]
    return log_likelihoods(first.logits[0, -1:], after_fed, row.owner, rows)


def _score_batch(model: Any, first: Any, n_read: int, rows: Sequence[list[int]]) -> NDArray[np.float32]:
    import torch

    device = model.device
    lengths = torch.tensor([len(row) for row in rows], device=device)
    longest = int(lengths.max())
    targets = torch.zeros((len(rows), longest), dtype=torch.long, device=device)
    for i, row in enumerate(rows):
        targets[i, : len(row)] = torch.tensor(row)
    logits = first.logits[:, -1:].expand(len(rows), 1, -1)  # (n_answers, 1, vocabulary)
    if longest > 1:
        cache = first.past_key_values
        cache.batch_repeat_interleave(len(rows))
        # Answers are padded at their right, where no token that counts can see the padding: no mask is needed.
        rest = model(
            targets[:, :-1],
            past_key_values=cache,
            position_ids=torch.arange(n_read, n_read + longest - 1, device=device)[None].expand(len(rows), -1),
            use_cache=True,
        )
        logits = torch.cat([logits, rest.logits], dim=1)
    logits = logits.float()
    chosen = logits.gather(2, targets[:, :, None])[:, :, 0]
    log_probabilities = chosen - logits.logsumexp(2)  # (n_answers, longest)
    counts = torch.arange(longest, device=device)[None] < lengths[:, None]
    return np.asarray((log_probabilities * counts).sum(1).cpu().numpy(), dtype=np.float32)
