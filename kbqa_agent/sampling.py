"""Answers drawn at random: K for each prompt, with their log-likelihoods.

A prompt goes through the model once, together with others of its length, and its keys and values are repeated for its
samples; a sample that has ended leaves the batch. This module neither loads models nor judges what was drawn.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kb_index.errors import InputError
from kbqa_agent.prompts import first_line
from kbqa_agent.tokenizing import batches_by_length, context_length, encode_prompt, last_place, pad_left, stop_ids

__all__ = ["Sampled", "SamplingOptions", "sample_answers"]

CACHED_TOKENS = 16_384
"""The most tokens, of prompts and answers of all samples, whose keys and values are kept at a time."""

NUCLEUS = 1024
"""Among so many of the most probable tokens the nucleus is looked for first; a vocabulary is slow to sort."""


class Sampled(NamedTuple):
    """An answer that was drawn.

    `log_likelihood` (natural log, at temperature 1, whatever temperature it was drawn at) is the sum over the tokens
    that were drawn, with the end token; an answer cut off at its length has none. `n_tokens` counts the same tokens.
    """

    text: str
    log_likelihood: float
    n_tokens: int


@dataclass(frozen=True, slots=True)
class SamplingOptions:
    """How answers are drawn: `k` for each prompt, from the smallest set of tokens with the probability `top_p`."""

    k: int
    temperature: float = 1.0
    top_p: float = 1.0
    max_new_tokens: int = 48
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("k", "max_new_tokens"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}={getattr(self, name)}: expected at least 1")
        if not self.temperature > 0:
            raise InputError(f"temperature={self.temperature}: expected more than 0; for no chance at all use generate")
        if not 0 < self.top_p <= 1:
            raise InputError(f"top_p={self.top_p}: expected a probability over 0 and up to 1")


def sample_answers(model: Any, tokenizer: Any, prompts: Sequence[str], options: SamplingOptions) -> list[list[Sampled]]:
    """Draw `options.k` answers for each prompt, in the order of the prompts.

    What is drawn for a prompt depends on the seed and its own text, not on the prompts beside it (up to rounding): a
    part of a list gives a part of the answers. With a larger `k`, the first answers stay the same.
    """
    import torch

    room = max(1, context_length(model) - options.max_new_tokens)
    rows = [encode_prompt(tokenizer, prompt, room) for prompt in prompts]
    chances = _chances(prompts, options)
    answers: list[list[Sampled]] = [[] for _ in prompts]
    sizes = [options.k * (len(row) + options.max_new_tokens) for row in rows]
    for batch in batches_by_length(sizes, CACHED_TOKENS):
        ids, mask = pad_left([rows[i] for i in batch], tokenizer.eos_token_id)
        uniform = torch.from_numpy(np.concatenate([chances[i] for i in batch]))
        with torch.inference_mode():
            drawn = _draw_answers(model, _Batch(ids, mask, uniform, stop_ids(tokenizer)), options)
        texts = tokenizer.batch_decode([tokens for tokens, _ in drawn], skip_special_tokens=True)
        for n, (text, (tokens, total)) in enumerate(zip(texts, drawn, strict=True)):
            answers[batch[n // options.k]].append(Sampled(first_line(text), total, len(tokens)))
    return answers


class _Batch(NamedTuple):
    """Prompts that go through the model together; `uniform` are chances from 0 to 1, (n_samples, max_new_tokens)."""

    ids: list[list[int]]
    mask: list[list[int]]
    uniform: Any
    stop_ids: list[int]


def _chances(prompts: Sequence[str], options: SamplingOptions) -> list[NDArray[np.float32]]:
    """Throw the dice of every token beforehand, (k, max_new_tokens) for each prompt, so that no batch changes them."""
    seen: Counter[str] = Counter()
    found = []
    for prompt in prompts:
        key = [options.seed, zlib.crc32(prompt.encode("utf-8", "surrogatepass")), seen[prompt]]
        seen[prompt] += 1
        found.append(np.random.default_rng(key).random((options.k, options.max_new_tokens), dtype=np.float32))
    return found


def _draw_answers(model: Any, batch: _Batch, options: SamplingOptions) -> list[tuple[list[int], float]]:
    """Draw all answers of a batch; give the tokens of each, the end token with them, and their log-likelihood."""
    import torch

    device = model.device
    mask, ids = torch.tensor(batch.mask, device=device), torch.tensor(batch.ids, device=device)
    output = model(
        ids,
        attention_mask=mask,
        position_ids=(mask.cumsum(1) - 1).clamp(min=0),
        use_cache=True,
        logits_to_keep=last_place(ids),
    )
    cache = output.past_key_values
    cache.batch_repeat_interleave(options.k)
    mask = mask.repeat_interleave(options.k, 0)
    logits = output.logits[:, -1].repeat_interleave(options.k, 0)
    stops = torch.tensor(batch.stop_ids, device=device)
    uniform = batch.uniform.to(device)
    drawn: list[tuple[list[int], float]] = [([], 0.0)] * len(uniform)
    going = torch.arange(len(uniform), device=device)  # the samples that have not ended
    for step in range(options.max_new_tokens):
        log_probabilities = logits.float().log_softmax(-1)  # (n_going, vocabulary)
        tokens = _draw(log_probabilities, uniform[going, step], options)
        chosen = log_probabilities.gather(1, tokens[:, None])[:, 0]
        for i, token, each in zip(going.tolist(), tokens.tolist(), chosen.tolist(), strict=True):
            drawn[i] = ([*drawn[i][0], token], drawn[i][1] + each)
        kept = (~torch.isin(tokens, stops)).nonzero()[:, 0]
        if not len(kept) or step + 1 == options.max_new_tokens:
            break
        if len(kept) < len(going):
            cache.batch_select_indices(kept)
            going, mask, tokens = going[kept], mask[kept], tokens[kept]
        mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
        positions = mask.sum(1, keepdim=True) - 1
        output = model(
            tokens[:, None], attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True
        )
        logits = output.logits[:, -1]
    return drawn


def _draw(log_probabilities: Any, uniform: Any, options: SamplingOptions) -> Any:
    """Turn one chance for each row into a token, by the rows' cumulative probabilities, (n_rows,).

    Reference: for the nucleus, Holtzman et al. 2020, arXiv:1904.09751, section 3.1.
    """
    weights = (log_probabilities / options.temperature).softmax(-1)
    ids = None
    if options.top_p < 1:
        ordered, ids = weights.topk(min(NUCLEUS, weights.shape[-1]))
        if (ordered.sum(-1) < options.top_p).any():
            ordered, ids = weights.sort(descending=True)
        outside = ordered.cumsum(-1) - ordered >= options.top_p
        weights = ordered.masked_fill(outside, 0.0)
    sums = weights.double().cumsum(-1)
    places = (sums <= uniform.double()[:, None] * sums[:, -1:]).sum(-1)
    return places if ids is None else ids.gather(1, places[:, None])[:, 0]
