"""The likelihoods of several prompts' answers in one pass: what each prompt gets alone up to rounding, in less time.

All prompts stand in one row, one after the other, and so do all answers. What a model does token by token is done for
all tokens at once, for which its weights are laid out once and not for each prompt; only the attention goes prompt by
prompt, as each would alone. So nothing is filled up. Numbers are rounded otherwise where a processor computes products
of many rows in another order than those of few.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from itertools import accumulate, chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kbqa_agent.scoring import answer_row, encoded, log_likelihoods

__all__ = ["model_by_part", "score_together"]

ATTENTION = "kbqa_by_part"
KINDS = ("llama",)
"""The kinds of models that hand what they are given on to their attention, which sees all of a row and nothing else."""

Asked = tuple[str, Sequence[str]]
"""A prompt and the answers that are judged under it."""


class _Part(NamedTuple):
    """Which tokens of a row ask, which of all tokens until then they see, and the mask between them."""

    asking: slice
    seen: Sequence[slice]
    mask: Any


def model_by_part(model: Any) -> Any | None:
    """The same weights with an attention that takes parts; None for models of other kinds."""
    from transformers.masking_utils import AttentionMaskInterface, sdpa_mask
    from transformers.modeling_utils import AttentionInterface, PreTrainedModel

    if not isinstance(model, PreTrainedModel) or model.config.model_type not in KINDS:
        return None
    if model.config._attn_implementation != "sdpa" or model.device.type != "cpu":
        return None
    AttentionInterface.register(ATTENTION, _attend_by_part)
    AttentionMaskInterface.register(ATTENTION, sdpa_mask)
    shared = {id(t): t for t in chain(model.parameters(), model.buffers())}
    by_part = deepcopy(model, shared)
    by_part.set_attn_implementation(ATTENTION)
    return by_part


def score_together(by_part: Any, tokenizer: Any, asked: Sequence[Asked]) -> list[NDArray[np.float32]]:
    """What `score_answers` gives for each prompt and its answers, of which one has a token at least, (n_answers,)."""
    import torch

    rows = [encoded(by_part, tokenizer, prompt, answers) for prompt, answers in asked]
    prompts = _slices([len(prefix) for prefix, _ in rows])
    n_read = prompts[-1].stop
    nothing = torch.zeros(1, 1, 1, 1)  # a mask of four dimensions is left as it is
    with torch.inference_mode():
        answers = [answer_row(by_part, len(prefix), of_prompt) for prefix, of_prompt in rows]
        places = _slices([len(row.fed) for row in answers])
        first = by_part(
            torch.tensor([list(chain.from_iterable(prefix for prefix, _ in rows))]),
            attention_mask=nothing,
            position_ids=torch.tensor([list(chain.from_iterable(range(len(prefix)) for prefix, _ in rows))]),
            use_cache=True,
            logits_to_keep=torch.tensor([prompt.stop - 1 for prompt in prompts]),
            parts=[_Part(prompt, [prompt], None) for prompt in prompts],
        )
        rest = by_part(
            torch.tensor([list(chain.from_iterable(row.fed for row in answers))]),
            attention_mask=nothing,
            past_key_values=first.past_key_values,
            position_ids=torch.cat([row.position for row in answers])[None],
            use_cache=True,
            parts=[
                _Part(place, [prompt, slice(n_read + place.start, n_read + place.stop)], row.bias)
                for prompt, place, row in zip(prompts, places, answers, strict=True)
            ],
        )
        return [
            log_likelihoods(first.logits[0, i : i + 1], rest.logits[0, place], row.owner, of_prompt)
            for i, (place, row, (_, of_prompt)) in enumerate(zip(places, answers, rows, strict=True))
        ]


def _slices(sizes: Sequence[int]) -> list[slice]:
    return [slice(end - size, end) for size, end in zip(sizes, accumulate(sizes), strict=True)]


def _attend_by_part(
    module: Any,
    query: Any,
    key: Any,
    value: Any,
    attention_mask: Any,
    parts: Sequence[_Part] | None = None,
    **rest: Any,
) -> tuple[Any, None]:
    """The attention of transformers, for each part alone where there are parts; tensors are (1, heads, tokens, n)."""
    import torch
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    if parts is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **rest)[0], None
    found = []
    for part in parts:
        keys, values = (torch.cat([of[:, :, seen] for seen in part.seen], 2) for of in (key, value))
        found.append(sdpa_attention_forward(module, query[:, :, part.asking], keys, values, part.mask, **rest)[0])
    return torch.cat(found, 1), None
