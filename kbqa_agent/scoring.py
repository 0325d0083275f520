"""The likelihood of many candidate answers under one prompt.

The prompt goes through the model once; its keys and values are shared by all answers, which follow in one batch.
This module neither loads models nor decides what to do with the numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kbqa_agent.tokenizing import context_length, encode_answer, encode_prompt

__all__ = ["score_answers"]

MAX_ANSWER_TOKENS = 192


def score_answers(model: Any, tokenizer: Any, prompt: str, answers: Sequence[str]) -> NDArray[np.float32]:
    """Sum the natural-log probabilities of each answer's tokens and of the end token after it, (n_answers,).

    Equal to feeding prompt and answer through the model one by one, up to rounding.
    """
    import torch

    if not answers:
        return np.zeros(0, dtype=np.float32)
    room = context_length(model)
    rows = [encode_answer(tokenizer, answer, min(MAX_ANSWER_TOKENS, room // 2)) for answer in answers]
    prefix = encode_prompt(tokenizer, prompt, room - max(map(len, rows)))
    with torch.inference_mode():
        return _score_rows(model, prefix, rows)


def _score_rows(model: Any, prefix: list[int], rows: Sequence[list[int]]) -> NDArray[np.float32]:
    import torch

    device = model.device
    first = model(torch.tensor([prefix], device=device), use_cache=True, logits_to_keep=1)
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
            position_ids=torch.arange(len(prefix), len(prefix) + longest - 1, device=device)[None].expand(
                len(rows), -1
            ),
            use_cache=True,
        )
        logits = torch.cat([logits, rest.logits], dim=1)
    logits = logits.float()
    chosen = logits.gather(2, targets[:, :, None])[:, :, 0]
    log_probabilities = chosen - logits.logsumexp(2)  # (n_answers, longest)
    counts = torch.arange(longest, device=device)[None] < lengths[:, None]
    return np.asarray((log_probabilities * counts).sum(1).cpu().numpy(), dtype=np.float32)
